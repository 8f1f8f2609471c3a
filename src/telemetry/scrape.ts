// The scrape: metrics of all processes summed, as text for Prometheus and OpenMetrics; and what each tells of itself.

import { AggregatorRegistry, collectDefaultMetrics, type MetricObject, Registry } from 'prom-client';
import type { Family } from '../model/measures.ts';

/** The `process_*` and `nodejs_*` of this process, under the name of its worker. */
export function ownFamilies(worker: string): () => Promise<Family[]> {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, labels: { worker } });
  return async () => ((await registry.getMetricsAsJSON()) as unknown as Family[]).map(ofOneProcess);
}

/** With the worker as a label there is nothing to sum, and prom-client would leave out what makes no sum: when a process started. */
function ofOneProcess(family: Family): Family {
  return { ...family, aggregator: 'first' };
}

/** One list out of several, values of the same series summed (or as their family says). */
export async function sumFamilies(groups: readonly (readonly Family[])[]): Promise<Family[]> {
  return (await aggregate(groups).getMetricsAsJSON()) as unknown as Family[];
}

export interface Scrape {
  readonly contentType: string;
  readonly text: string;
}

/** All groups as one page. OpenMetrics when the Accept field asks for it. */
export async function renderScrape(groups: readonly (readonly Family[])[], accept: string): Promise<Scrape> {
  const openMetrics = accept.includes('application/openmetrics-text');
  const registry = aggregate(openMetrics ? groups.map((families) => families.map(withoutTotal)) : groups);
  if (openMetrics) registry.setContentType(AggregatorRegistry.OPENMETRICS_CONTENT_TYPE as never);
  return { contentType: registry.contentType, text: await registry.metrics() };
}

/** OpenMetrics names a counter without its `_total`, which prom-client adds to the series. */
function withoutTotal(family: Family): Family {
  return family.type === 'counter' ? { ...family, name: family.name.replace(/_total$/, '') } : family;
}

function aggregate(groups: readonly (readonly Family[])[]): Registry {
  return AggregatorRegistry.aggregate(groups as unknown as MetricObject[]);
}
