// One room on bun's built-in server (uWebSockets), with its native publish: every message to every
// subscriber, the sender included. It has no history, offsets or presence.
const server = Bun.serve({
  hostname: "127.0.0.1",
  port: Number(process.argv[2]),
  fetch(request, server) {
    return server.upgrade(request) ? undefined : new Response("WebSocket only", { status: 426 });
  },
  websocket: {
    perMessageDeflate: false,
    message(socket, message) {
      if (socket.isSubscribed("room")) {
        server.publish("room", message);
      } else {
        socket.subscribe("room");
        socket.send('{"subscribed":true}');
      }
    },
  },
});
