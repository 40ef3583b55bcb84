/**
 * A small internet: browsers in networks of their own behind routers that translate addresses, and servers in between.
 * Made of Linux's network namespaces (`ip netns`) and nftables. The machine's own network is not touched.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * What a router makes of the ports of those behind it. `keeps`: the same, whoever is spoken to, so that two who know
 * each other's addresses by STUN find a way. `shuffles`: another for each destination (a symmetric NAT), so that what
 * STUN tells is of no use. Both let nothing in that was not asked for.
 */
export type Translation = 'keeps' | 'shuffles';

const MASQUERADE = { keeps: 'masquerade', shuffles: 'masquerade fully-random' };

/** A place for a process: a namespace, and its address there. */
export interface Spot {
  readonly namespace: string;
  readonly address: string;
}

/** Why there can be no such networks here; undefined where there can. */
export const WITHOUT_NAMESPACES = ((): string | undefined => {
  const name = `probe-${process.pid}`;
  try {
    ip('netns', 'add', name);
    inside(name, ['nft', 'list', 'ruleset']);
    return undefined;
  } catch (error) {
    return `this machine allows no network namespaces: ${String(error).split('\n')[0]}`;
  } finally {
    try {
      ip('netns', 'delete', name);
    } catch {
      // It was not made.
    }
  }
})();

export class Internet {
  /** Where servers are: every router reaches it. */
  readonly servers: Spot;
  readonly #name: string;
  readonly #folder = mkdtempSync(join(tmpdir(), 'p2pcf-ws-nat-'));
  readonly #namespaces: string[] = [];
  #routers = 0;
  #homes = 0;

  constructor() {
    this.#name = `p2pcf-${process.pid}-${Math.random().toString(36).slice(2, 6)}`;
    this.servers = { namespace: this.#add('internet'), address: '203.0.113.1' };
    const { namespace, address } = this.servers;
    ip('-n', namespace, 'link', 'add', 'public', 'type', 'bridge');
    ip('-n', namespace, 'address', 'add', `${address}/24`, 'dev', 'public');
    ip('-n', namespace, 'link', 'set', 'public', 'up');
  }

  /** A router on the internet, with a private network behind it. */
  addRouter(translation: Translation): Router {
    const number = ++this.#routers;
    const namespace = this.#add(`router-${number}`);
    const address = `203.0.113.${10 + number}`;
    const internet = this.servers.namespace;
    ip('-n', namespace, 'link', 'add', 'wan', 'type', 'veth', 'peer', 'name', `router-${number}`, 'netns', internet);
    ip('-n', internet, 'link', 'set', `router-${number}`, 'master', 'public', 'up');
    ip('-n', namespace, 'address', 'add', `${address}/24`, 'dev', 'wan');
    ip('-n', namespace, 'link', 'set', 'wan', 'up');
    ip('-n', namespace, 'link', 'add', 'lan', 'type', 'bridge');
    ip('-n', namespace, 'address', 'add', `10.0.${number}.1/24`, 'dev', 'lan');
    ip('-n', namespace, 'link', 'set', 'lan', 'up');
    inside(namespace, ['sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward']);
    // What was not asked for is dropped in `input`, too: else conntrack notes it as a flow of the router's own, its
    // port is taken, and masquerade gives the flow from behind the router another, as a symmetric NAT would (Linux
    // 6.18, 2026-11).
    const rules = `table inet nat {
      chain out { type nat hook postrouting priority srcnat; oifname "wan" ${MASQUERADE[translation]}; }
      chain in { type filter hook input priority filter; policy drop; ct state established,related accept; }
    }`;
    inside(namespace, ['nft', '-f', '-'], rules);
    return { namespace, address, number };
  }

  /** Gives a router another address: what it has translated until now it forgets, and nobody behind it is told. */
  renumber(router: Router): void {
    const { namespace } = router;
    const former = router.address;
    router.address = `203.0.113.${10 + ++this.#routers}`;
    ip('-n', namespace, 'address', 'delete', `${former}/24`, 'dev', 'wan');
    ip('-n', namespace, 'address', 'add', `${router.address}/24`, 'dev', 'wan');
  }

  /** A machine behind a router. */
  addHome(router: Router): Home {
    const number = ++this.#homes;
    const home = { namespace: this.#add(`home-${number}`), address: '', number };
    this.move(home, router);
    return home;
  }

  /** Takes a machine out of its network and into that of another router, as a telephone that leaves the house. */
  move(home: Home, router: Router): void {
    const { namespace, number } = home;
    if (home.address) ip('-n', namespace, 'link', 'delete', 'lan');
    home.address = `10.0.${router.number}.${10 + number}`;
    ip(
      '-n',
      namespace,
      'link',
      'add',
      'lan',
      'type',
      'veth',
      'peer',
      'name',
      `home-${number}`,
      'netns',
      router.namespace,
    );
    ip('-n', router.namespace, 'link', 'set', `home-${number}`, 'master', 'lan', 'up');
    ip('-n', namespace, 'address', 'add', `${home.address}/24`, 'dev', 'lan');
    ip('-n', namespace, 'link', 'set', 'lan', 'up');
    ip('-n', namespace, 'route', 'add', 'default', 'via', `10.0.${router.number}.1`);
  }

  /** From now on a machine gets so many of a hundred packets not; 0 for none, 100 for all. */
  lose({ namespace }: Home, percent: number): void {
    const drop = percent > 0 ? `iifname "lan" numgen random mod 100 <= ${percent - 1} drop` : '';
    const rules = `table inet loss {}
      delete table inet loss
      table inet loss { chain in { type filter hook input priority -300; ${drop}; }; }`;
    inside(namespace, ['nft', '-f', '-'], rules);
  }

  /** Path of a program that runs `path` in a namespace, for what can be given no more than a path. */
  launcher(path: string, { namespace }: Spot): string {
    const launcher = join(this.#folder, namespace);
    writeFileSync(launcher, `#!/bin/sh\nexec ip netns exec ${namespace} ${path} "$@"\n`, { mode: 0o755 });
    return launcher;
  }

  /** Ends all networks. Processes in them have to be ended before. */
  remove(): void {
    for (const namespace of this.#namespaces) ip('netns', 'delete', namespace);
    rmSync(this.#folder, { recursive: true });
  }

  #add(role: string): string {
    const namespace = `${this.#name}-${role}`;
    ip('netns', 'add', namespace);
    this.#namespaces.push(namespace);
    ip('-n', namespace, 'link', 'set', 'lo', 'up');
    return namespace;
  }
}

export interface Router extends Spot {
  address: string;
  readonly number: number;
}

export interface Home extends Spot {
  address: string;
  readonly number: number;
}

/** The command that runs this one in a namespace, if one is given. */
export function commandAt(spot: Spot | undefined, command: readonly [string, ...string[]]): [string, ...string[]] {
  return spot ? ['ip', 'netns', 'exec', spot.namespace, ...command] : [...command];
}

function ip(...parameters: string[]): void {
  execFileSync('ip', parameters, { stdio: 'pipe' });
}

function inside(namespace: string, command: [string, ...string[]], input = ''): void {
  execFileSync('ip', ['netns', 'exec', namespace, ...command], { stdio: 'pipe', input });
}
