/** MPI's C functions, as far as they are used. */
import {
  findMpiLibrary,
  MPI_LIBRARY_VARIABLE,
  type MpiFamily,
  mpiLaunch,
} from '@resbatchnorm/native/mpi';
import koffi, {type LibraryHandle} from 'koffi';

import {DistributedError} from '../distributed_error.js';
import {runWithin} from './run_within.js';

/** Memory that MPI reads and writes, also after the call that named it has returned. */
export interface MpiBuffer<T extends ArrayBufferView = ArrayBufferView> {
  readonly view: T;
  readonly address: bigint;
}

export function mpiBuffer<T extends ArrayBufferView>(view: T): MpiBuffer<T> {
  return {view, address: koffi.address(view)};
}

/** A handle: the address of an object, or a number. */
type Handle = bigint | number;

type Datatype = 'byte' | 'float' | 'double';

interface Handles {
  world: Handle;
  sum: Handle;
  errorsReturn: Handle;
  datatypes: Record<Datatype, Handle>;
  inPlace: bigint;
  ignoreStatus: bigint;
  /** An array of requests; none of them is in use. */
  requests(count: number): BigInt64Array | Int32Array;
}

/**
 * What mpi.h of each family defines. OpenMPI's handles are objects of the library; MPICH's and
 * Intel MPI's are numbers that their common binary interface has fixed.
 */
function handlesOf(family: MpiFamily, library: LibraryHandle): Handles {
  if (family === 'MPICH') {
    return {
      world: 0x44000000,
      sum: 0x58000003,
      errorsReturn: 0x54000001,
      datatypes: {byte: 0x4c00010d, float: 0x4c00040a, double: 0x4c00080b},
      inPlace: -1n,
      ignoreStatus: 1n,
      requests: count => new Int32Array(count).fill(0x2c000000),
    };
  }
  const address = (name: string) => koffi.address(library.symbol(name, 'void *'));
  return {
    world: address('ompi_mpi_comm_world'),
    sum: address('ompi_mpi_op_sum'),
    errorsReturn: address('ompi_mpi_errors_return'),
    datatypes: {
      byte: address('ompi_mpi_byte'),
      float: address('ompi_mpi_float'),
      double: address('ompi_mpi_double'),
    },
    inPlace: 1n,
    ignoreStatus: 0n,
    requests: count => new BigInt64Array(count).fill(address('ompi_request_null')),
  };
}

const THREAD_FUNNELED = 1;

const remedy =
  `Set ${MPI_LIBRARY_VARIABLE} to the library of the mpirun that started this process: ` +
  'libmpi.so.40 of OpenMPI, libmpi.so.12 of MPICH or Intel MPI.';

/** The library, loaded and initialized. Its calls throw in place of returning codes. */
export class MpiLibrary {
  readonly rank: number;
  readonly size: number;
  /** For people: `OpenMPI 5.0.11`. */
  readonly name: string;

  private readonly handles: Handles;
  private readonly functions: Record<string, (...args: unknown[]) => number>;
  private readonly flag = new Int32Array(1);

  /**
   * Ends this process if the others don't come within so many seconds.
   *
   * @throws DistributedError if there is no library, or it is not what it seems.
   */
  constructor(timeoutSeconds: number) {
    const found = findMpiLibrary();
    if (found === undefined) {
      throw new DistributedError(
        `mpirun started this process, but its MPI library was not found. ${remedy}`,
      );
    }
    const {family, file} = found;
    keepUcxFromTheHeap();
    try {
      // Parts of OpenMPI that it loads itself look for its symbols among the global ones.
      const library = koffi.load(file, {global: true, lazy: true});
      this.handles = handlesOf(family, library);
      this.functions = functionsOf(library, family === 'OpenMPI' ? 'intptr' : 'int');
    } catch (error) {
      throw new DistributedError(
        `The MPI library ${file} can't be used as ${family}: ${(error as Error).message}. ` +
          remedy,
      );
    }
    this.name = this.nameOf(family);
    const {rank, size} = mpiLaunch() ?? {rank: 0, size: 1};
    runWithin(
      timeoutSeconds,
      `Rank ${rank}, connect: not all ${size} replicas have come in ${timeoutSeconds} s.`,
      () => this.run('Init_thread', 0, 0, THREAD_FUNNELED, this.flag),
    );
    this.run('Comm_set_errhandler', this.handles.world, this.handles.errorsReturn);
    this.run('Comm_rank', this.handles.world, this.flag);
    this.rank = this.flag[0];
    this.run('Comm_size', this.handles.world, this.flag);
    this.size = this.flag[0];
  }

  private nameOf(family: MpiFamily): string {
    const bytes = new Uint8Array(8192);
    this.run('Get_library_version', bytes, this.flag);
    const text = Buffer.from(bytes).toString('latin1', 0, this.flag[0]);
    const version = /\d+\.\d+[\w.]*/.exec(text)?.[0] ?? 'of unknown version';
    return `${text.startsWith('Intel') ? 'Intel MPI' : family} ${version}`;
  }

  /** Messages of one size, to and from all others, that are sent again and again. */
  exchange(own: MpiBuffer, others: Map<number, MpiBuffer>): MpiRequests {
    const requests = this.handles.requests(2 * others.size);
    const {byte} = this.handles.datatypes;
    let next = 0;
    const start = (name: string, {view, address}: MpiBuffer, rank: number) => {
      const request = requests.subarray(next, ++next);
      const {world} = this.handles;
      this.run(name, address, view.byteLength, byte, rank, 0, world, request);
    };
    for (const [rank, buffer] of others) start('Recv_init', buffer, rank);
    for (const rank of others.keys()) start('Send_init', own, rank);
    return new MpiRequests(this, requests, [own, ...others.values()], [...others.keys()]);
  }

  /** Every process's values, one after the other. */
  gather(own: MpiBuffer, all: MpiBuffer): MpiRequests {
    const {world, datatypes} = this.handles;
    const part = [own.view.byteLength, datatypes.byte];
    const args = [own.address, ...part, all.address, ...part, world];
    return this.startOne('Iallgather', args, [own, all]);
  }

  /** Replaces the values by their sums over all processes. */
  sumInPlace(values: MpiBuffer<Float32Array>): MpiRequests {
    const {world, datatypes, sum, inPlace} = this.handles;
    const what = [values.address, values.view.length, datatypes.float];
    return this.startOne('Iallreduce', [inPlace, ...what, sum, world], [values]);
  }

  /** Replaces the bytes by those of rank 0. */
  broadcast(bytes: MpiBuffer): MpiRequests {
    const {world, datatypes} = this.handles;
    const what = [bytes.address, bytes.view.byteLength, datatypes.byte];
    return this.startOne('Ibcast', [...what, 0, world], [bytes]);
  }

  private startOne(name: string, args: unknown[], buffers: MpiBuffer[]): MpiRequests {
    const request = this.handles.requests(1);
    this.run(name, ...args, request);
    return new MpiRequests(this, request, buffers);
  }

  /** Starts the messages of `exchange` once more. */
  startAll(requests: BigInt64Array | Int32Array): void {
    this.run('Startall', requests.length, requests);
  }

  free(requests: BigInt64Array | Int32Array): void {
    for (let i = 0; i < requests.length; ++i) {
      this.run('Request_free', requests.subarray(i, i + 1));
    }
  }

  areAllDone(requests: BigInt64Array | Int32Array): boolean {
    this.run('Testall', requests.length, requests, this.flag, this.handles.ignoreStatus);
    return this.flag[0] !== 0;
  }

  /** Ends all processes, also those that wait or are stopped. */
  abort(): void {
    this.functions.Abort(this.handles.world, 1);
  }

  finalize(): void {
    this.run('Finalize');
  }

  private run(name: string, ...args: unknown[]): void {
    const code = this.functions[name](...args);
    if (code !== 0) throw new Error(`MPI_${name} failed with code ${code}`);
  }
}

/** Communication that is under way. */
export class MpiRequests {
  constructor(
    private readonly mpi: MpiLibrary,
    private readonly requests: BigInt64Array | Int32Array,
    /** What MPI reads and writes meanwhile: it must stay where it is. */
    readonly buffers: MpiBuffer[],
    /** Whom the first requests receive from. */
    private readonly senders: number[] = [],
  ) {}

  start(): void {
    this.mpi.startAll(this.requests);
  }

  /** Of what can be started again: it never will be. */
  free(): void {
    this.mpi.free(this.requests);
  }

  isDone(): boolean {
    return this.mpi.areAllDone(this.requests);
  }

  /** The ranks whose messages have not come. */
  missing(): number[] {
    return this.senders.filter(
      (_, i) => !this.mpi.areAllDone(this.requests.subarray(i, i + 1)),
    );
  }
}

/**
 * UCX, which is in MPICH's pip wheel, tries out its memory hooks by sbrk: it asks for a page and
 * gives one back, even if it got none. Where Node has its code right above the heap it gets none,
 * and what it gives back is in use (openucx/ucx, src/ucm/mmap/install.c). The hooks only serve to
 * remember which memory network cards know; whoever wants that sets the variable to `yes`.
 */
function keepUcxFromTheHeap(): void {
  process.env.UCX_MEM_EVENTS ??= 'no';
}

function functionsOf(
  library: LibraryHandle,
  handle: string,
): Record<string, (...args: unknown[]) => number> {
  const memory = 'intptr';
  const written = 'void *';
  const message = [memory, 'int', handle, 'int', 'int', handle, written];
  const signatures: Record<string, string[]> = {
    Init_thread: [memory, memory, 'int', written],
    Get_library_version: [written, written],
    Comm_set_errhandler: [handle, handle],
    Comm_rank: [handle, written],
    Comm_size: [handle, written],
    Send_init: message,
    Recv_init: message,
    Startall: ['int', written],
    Request_free: [written],
    Testall: ['int', written, written, memory],
    Iallgather: [memory, 'int', handle, memory, 'int', handle, handle, written],
    Iallreduce: [memory, memory, 'int', handle, handle, handle, written],
    Ibcast: [memory, 'int', handle, 'int', handle, written],
    Abort: [handle, 'int'],
    Finalize: [],
  };
  return Object.fromEntries(
    Object.entries(signatures).map(([name, args]) => [
      name,
      library.func(`MPI_${name}`, 'int', args),
    ]),
  );
}
