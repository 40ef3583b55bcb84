/** y-webrtc's own server, kept to this machine: it can be told its port but would listen on every network. */
import { Server } from 'node:http';

Server.prototype.listen = new Proxy(Server.prototype.listen, {
  apply: (listen, server, [port]) => Reflect.apply(listen, server, [Number(port), '127.0.0.1']),
});
await import(new URL('../node_modules/y-webrtc/bin/server.js', import.meta.url).href);
