// What `env` and `exports` of cloudflare:workers hold in these tests.
declare namespace Cloudflare {
  interface Env {
    SIGNALING_ROOM: DurableObjectNamespace<import('../../src/index.ts').SignalingRoom>;
    BUCKET: R2Bucket;
    THREE_A_MINUTE: RateLimit;
  }
  interface GlobalProps {
    mainModule: typeof import('../../src/index.ts');
  }
}

/** P2PCF's own worker, as its npm package has it. */
declare module 'p2pcf/src/worker.js' {
  const worker: { fetch(request: Request, env: { BUCKET: R2Bucket }, context: ExecutionContext): Promise<Response> };
  export default worker;
}
