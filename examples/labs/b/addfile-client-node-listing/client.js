const fs = require('fs');
const net = require('net');
const path = require('path');

const HOST = '127.0.0.1';
const PORT = 80;

function sendText(client, text) {
  client.write(text + '\n');
}

const filename = path.basename(process.argv[2]);
const data = fs.readFileSync(process.argv[2]);

const client = net.connect(PORT, HOST, () => {
  sendText(client, 'addfile');
  sendText(client, filename);
  client.write(data, () => {
    client.destroy();
    console.log('File sent:', filename);
  });
});
