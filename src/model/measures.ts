// Measures: what a worker has counted, as plain data that the supervisor sums up over workers.

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
