declare module 'better-sqlite3-session-store'
declare module 'connect-session-sequelize'
declare module 'dynalite'
declare module 'express-mysql-session'
