// What supervisor and worker say to each other. A new snapshot goes in two phases: all accept it, then all commit; or none does.

import type { FailedExchange, Family } from './measures.ts';
import type { Snapshot } from './snapshot.ts';

/** From the supervisor to a worker. */
export type Order =
  /** Build everything that this snapshot needs, bind its new listeners, change nothing, and answer `accepted` or `refused`. */
  | { readonly kind: 'prepare'; readonly snapshot: Snapshot }
  /** Serve by the prepared snapshot from now on; answer `serving` once its listeners are bound. */
  | { readonly kind: 'commit'; readonly generation: number }
  /** Another worker refused it: let go of what was prepared. */
  | { readonly kind: 'abandon'; readonly generation: number }
  /** Another instance serves beside us: accept nothing more, losing none that is being opened, and answer `closed`. */
  | { readonly kind: 'close' }
  /** Finish what is held within the deadline (ms), and end. `patient`: websockets and idle connections may stay that long, too. */
  | { readonly kind: 'drain'; readonly deadline: number; readonly patient: boolean }
  /** A patient drain, under way or to come, is not patient any more. */
  | { readonly kind: 'hasten' };

/** From a worker to the supervisor. */
export type Report =
  | { readonly kind: 'accepted'; readonly generation: number }
  | { readonly kind: 'refused'; readonly generation: number; readonly reason: string }
  | { readonly kind: 'serving'; readonly generation: number }
  | { readonly kind: 'closed' }
  /** Once a second: all that it has counted since it started, and what has failed since the last time. */
  | { readonly kind: 'measures'; readonly families: readonly Family[]; readonly failed: readonly FailedExchange[] }
  /** `forced` counts the exchanges that the deadline cut. */
  | { readonly kind: 'drained'; readonly forced: number };
