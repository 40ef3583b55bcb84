/**
 * What P2PCF-WS is measured against: the least code a relay of signals needs on a hibernating Durable Object. The same
 * wire format, for the two messages a session cannot do without and the two that tell of joins and leaves; no check,
 * no limit, no error message, no keep-alive, no ghosts, no duplicates.
 */
import { DurableObject } from 'cloudflare:workers';

interface Env {
  SIGNALING_ROOM: DurableObjectNamespace;
}

export default {
  fetch(request, env): Promise<Response> {
    const roomId = new URL(request.url).pathname.slice('/ws/room/'.length);
    return env.SIGNALING_ROOM.getByName(roomId).fetch(request);
  },
} satisfies ExportedHandler<Env>;

export class SignalingRoom extends DurableObject<Env> {
  override fetch(request: Request): Response {
    const clientId = new URL(request.url).searchParams.get('clientId') ?? '';
    const others = this.ctx.getWebSockets();
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server, [clientId]);
    const joined = JSON.stringify({ type: 'peer_join', clientId, timestamp: Date.now() });
    const peers: (string | undefined)[] = [];
    for (const other of others) {
      other.send(joined);
      peers.push(this.ctx.getTags(other)[0]);
    }
    server.send(JSON.stringify({ type: 'peers', peers, yourId: clientId }));
    return new Response(null, { status: 101, webSocket: client });
  }

  override webSocketMessage(socket: WebSocket, frame: string | ArrayBuffer): void {
    if (typeof frame !== 'string') return;
    const { targetId, signal }: { targetId: string; signal: unknown } = JSON.parse(frame);
    const text = JSON.stringify({ type: 'signal', fromId: this.ctx.getTags(socket)[0], signal });
    for (const target of this.ctx.getWebSockets(targetId)) target.send(text);
  }

  override webSocketClose(socket: WebSocket): void {
    const left = JSON.stringify({
      type: 'peer_leave',
      clientId: this.ctx.getTags(socket)[0],
      timestamp: Date.now(),
    });
    for (const other of this.ctx.getWebSockets()) if (other !== socket) other.send(left);
    socket.close(1000);
  }
}
