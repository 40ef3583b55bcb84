/** The least server that simple-peer needs: it says who is in a room, and carries signals. */
import { createServer } from 'node:http';
import { Server } from 'socket.io';

const http = createServer((_request, response) => response.end('OK'));
new Server(http, { cors: { origin: '*' } }).on('connection', (socket) => {
  socket.on('join', async (room: string) => {
    const others = await socket.in(room).fetchSockets();
    await socket.join(room);
    socket.emit(
      'others',
      others.map(({ id }) => id),
    );
  });
  socket.on('signal', (id: string, signal: unknown) => socket.to(id).emit('signal', socket.id, signal));
});
http.listen(Number(process.env['PORT']), '127.0.0.1');
