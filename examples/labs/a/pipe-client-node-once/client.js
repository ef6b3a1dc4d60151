'use strict';
const fs = require('fs');
const net = require('net');
const path = require('path');

const [file] = process.argv.slice(2);
if (!file) {
  console.error('usage: node client.js FILE');
  process.exit(2);
}
const content = fs.readFileSync(file);

function die(reason) {
  console.error('transfer failed:', reason);
  process.exit(1);
}

const client = net.createConnection({ host: '127.0.0.1', port: 65432 });
client.setTimeout(3000, () => die('timeout'));
client.on('error', (err) => die(err.code));

let ready = false;
client.on('connect', () => {
  client.write(path.basename(file) + '|' + content.length);
  client.once('data', (data) => {
    if (data.toString() !== 'ACK') die('server is not ready');
    ready = true;
    client.end(content); // sends everything, then FIN
    client.resume();
  });
});

client.on('end', () => {
  if (!ready || !client.writableFinished) die('server closed the connection');
});
client.on('close', () => {
  console.log('done,', content.length, 'bytes sent');
});
