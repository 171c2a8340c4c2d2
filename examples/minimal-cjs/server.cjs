// The example of express-socket.io-session's README, verbatim but for the import of this package instead of that one.
// Copyright (c) 2014-2015 Oscar López, MIT licence (LICENSE beside it). Its client emits "login" with the user's data, and "logout".
// @ts-nocheck: the types of socket.io 4 have no `require("socket.io")(server)`, which works.

var app = require('express')(),
  server  = require("http").createServer(app),
  io = require("socket.io")(server),
  session = require("express-session")({
    secret: "my-secret",
    resave: true,
    saveUninitialized: true
  }),
  sharedsession = require("sharedsession");


// Attach session
app.use(session);

// Share session with io sockets

io.use(sharedsession(session));

io.on("connection", function(socket) {
    // Accept a login event with user's data
    socket.on("login", function(userdata) {
        socket.handshake.session.userdata = userdata;
        socket.handshake.session.save();
    });
    socket.on("logout", function(userdata) {
        if (socket.handshake.session.userdata) {
            delete socket.handshake.session.userdata;
            socket.handshake.session.save();
        }
    });        
});

server.listen(3000);
