// What `env` and `exports` of cloudflare:workers hold in these tests.
declare namespace Cloudflare {
  interface Env {
    SIGNALING_ROOM: DurableObjectNamespace<import('../../src/index.ts').SignalingRoom>;
  }
  interface GlobalProps {
    mainModule: typeof import('../../src/index.ts');
  }
}
