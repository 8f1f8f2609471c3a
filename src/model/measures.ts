// Measures: what a worker has counted, and which exchanges failed, as plain data that the supervisor puts together.

/** A metric with its series; the shape that prom-client reads and writes as JSON. */
export interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram' | 'summary';
  /** How the values of several workers become one. */
  readonly aggregator: 'sum' | 'min' | 'max' | 'first' | 'average' | 'omit';
  readonly values: readonly Value[];
}

export interface Value {
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
  /** With `_bucket`, `_sum` or `_count` behind the family's name, for histograms. */
  readonly metricName?: string;
}

/** An exchange that failed here or upstream, as people are shown it. What a client chose is redacted and cut. */
export interface FailedExchange {
  /** Of the wall clock, in ms. */
  readonly time: number;
  readonly requestId: string;
  readonly method: string;
  readonly host: string;
  readonly path: string;
  readonly status: number;
  /** Host and port; empty when there was none. */
  readonly upstream: string;
  /** The failure's code and its words; empty when the status is the upstream's own. */
  readonly failure: string;
  readonly detail: string;
}
