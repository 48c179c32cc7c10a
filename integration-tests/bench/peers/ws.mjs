// One room on npm `ws`, as its README broadcasts: every message to every client, the sender included.
// It has no history, offsets or presence. Compression is off, as its authors advise for speed.
import { WebSocketServer } from "ws";

const room = new Set();
const server = new WebSocketServer({ host: "127.0.0.1", port: Number(process.argv[2]), perMessageDeflate: false });

server.on("connection", (socket) => {
  socket.on("message", (message) => {
    if (room.has(socket)) {
      for (const member of room) member.send(message, { binary: false });
    } else {
      room.add(socket);
      socket.send('{"subscribed":true}');
    }
  });
  socket.on("close", () => room.delete(socket));
  socket.on("error", () => room.delete(socket));
});
