/** The Worker. What a bad request, or a setting that cannot be, gets is decided before a room is woken and billed. */
import { ProtocolError } from './protocol/error.ts';
import { sentence } from './worker/answer.ts';
import { checkAuthorization } from './worker/authorization.ts';
import { readAddressHeader } from './worker/client-address.ts';
import { TO_ANYBODY } from './worker/cors.ts';
import { log } from './worker/log.ts';
import { route } from './worker/routes.ts';
import { readLimits, readSecret, SettingsError } from './worker/settings.ts';
import type { Env } from './worker/signaling-room.ts';
import { readTurn } from './worker/turn-settings.ts';

export { SignalingRoom } from './worker/signaling-room.ts';

export default {
  async fetch(request, env): Promise<Response> {
    try {
      readLimits(env);
      await checkAuthorization(env);
      readAddressHeader(env);
      readSecret('LOG_KEY', env.LOG_KEY);
      readTurn(env);
      return await route(request, env);
    } catch (error) {
      if (error instanceof SettingsError) {
        const { message } = error;
        await log({ event: 'failed', code: 500, reason: message }, '', {}); // whoever runs a container sees this alone
        // A page is to read it, too, when it looks why its WebSocket does not open.
        return sentence(500, message, TO_ANYBODY);
      }
      if (error instanceof ProtocolError) return sentence(400, error.message);
      throw error;
    }
  },
} satisfies ExportedHandler<Env>;
