/** Keras and PyTorch, opened once for a device and kept for all the backends on it. */
import {AbsentError} from './requests.js';
import type {Library} from './python_channel.js';
import {likelyPythons, openPeer, type Peer} from './pythons.js';

const libraries: Library[] = ['Keras', 'PyTorch'];

export class Peers {
  private readonly opened = new Map<'cpu' | 'gpu', Promise<Peer[]>>();
  /** What is left out, and why. */
  readonly notes: string[] = [];

  /** `pythons`: where to look for them; undefined for where they may be. */
  constructor(
    private readonly pythons: readonly string[] | undefined,
    private readonly open = openPeer,
  ) {}

  /** Those that are there. */
  on(device: 'cpu' | 'gpu'): Promise<Peer[]> {
    let peers = this.opened.get(device);
    if (!peers) {
      peers = this.openAll(device);
      this.opened.set(device, peers);
    }
    return peers;
  }

  private async openAll(device: 'cpu' | 'gpu'): Promise<Peer[]> {
    const pythons = this.pythons ?? (await likelyPythons());
    const peers: Peer[] = [];
    for (const library of libraries) {
      try {
        peers.push(await this.open(library, device, pythons));
      } catch (error) {
        if (!(error instanceof AbsentError)) throw error;
        this.notes.push(
          `${library} on ${device.toUpperCase()} is left out: ${error.message}`,
        );
      }
    }
    return peers;
  }

  /** Of all that were opened. */
  async versions(): Promise<Record<string, string>> {
    const versions = (await this.all()).map(({library, opened}) =>
      Object.entries(opened.versions).map(([name, version]) => [
        name === library ? name : `${name} of ${library}`,
        version,
      ]),
    );
    return Object.fromEntries(versions.flat());
  }

  async close(): Promise<void> {
    for (const peer of await this.all()) await peer.close();
  }

  private async all(): Promise<Peer[]> {
    const peers = [...this.opened.values()].map(opening => opening.catch(() => []));
    return (await Promise.all(peers)).flat();
  }
}
