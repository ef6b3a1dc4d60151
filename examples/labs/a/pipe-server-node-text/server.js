// Server of the file transfer lab. Start: node server.js
const fs = require('fs');
const net = require('net');

const MAX = 1024 ** 3;
let number = 0;

function parseMetadata(text) {
  const match = text.match(/^([^]+)\|(\d{1,10})\n?$/);
  if (!match) return null;
  return { filename: match[1], filesize: parseInt(match[2], 10) };
}

const server = net.createServer((conn) => {
  console.log('[CONNECTED]', conn.remoteAddress, conn.remotePort);
  let metadata = null;
  let text = '';
  let timer = null;
  let out = null;
  let received = 0;
  const tempName = '.upload' + number++;

  function ready() {
    const found = parseMetadata(text);
    const { filename, filesize } = found;
    if (filename.includes('/') || filename.includes('\0') || /^\.{1,2}$/.test(filename) || filesize > MAX) {
      console.log('[REFUSED]');
      conn.destroy();
      return;
    }
    metadata = found;
    out = fs.openSync(tempName, 'w');
    conn.write('ACK');
  }

  function finish() {
    clearTimeout(timer);
    const complete = metadata !== null && received === metadata.filesize;
    if (out === null) return;
    fs.fsyncSync(out);
    fs.closeSync(out);
    out = null;
    try {
      if (!complete) throw new Error(`${received} bytes instead of ${metadata.filesize}`);
      fs.renameSync(tempName, metadata.filename);
      console.log('[SAVED]', metadata.filename);
    } catch (e) {
      fs.rmSync(tempName);
      console.log('[ERROR]', e.message);
    }
  }

  conn.setTimeout(2000, () => conn.destroy());
  conn.on('data', (chunk) => {
    clearTimeout(timer);
    if (metadata === null) {
      text += chunk;
      if (parseMetadata(text)) timer = setTimeout(ready, 200);
      else if (text.length > 3000) conn.destroy();
    } else if (out !== null) {
      fs.writeSync(out, chunk);
      received += chunk.length;
      if (received >= metadata.filesize) {
        timer = setTimeout(() => {
          finish();
          conn.end();
        }, 200);
      }
    }
  });
  conn.on('end', finish);
  conn.on('error', (e) => console.log('[ERROR]', e.message));
  conn.on('close', finish);
});

server.listen(65432, '127.0.0.1', () => console.log('[LISTENING] Waiting for connection...'));
