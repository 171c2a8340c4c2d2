import dynamodb from './dynamodb.cjs'

export const { dynamodbDriver } = dynamodb
