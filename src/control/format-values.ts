// Format of values: those that several keys of the configuration file have.

import { numeric, parsed, text } from './shape.ts';
import { isNetwork, readAddress, readHostName, readWhole, spellingHint, Wrong } from './values.ts';

export const STRING = { type: 'string' } as const;

export const port = numeric('a port', (value) => readWhole(value, 1, 65_535));
export const address = parsed('an IP address', STRING, readAddress);
export const label = text('a name of letters, digits and . _ -', /^[\w.-]+$/, 64);
export const file = text('the path of a file');

export const network = parsed('an address or network', STRING, (value) =>
  isNetwork(value)
    ? value
    : new Wrong(`is "${value}", which is no address or network`, 'like 10.0.0.7 or 172.16.0.0/12'),
);

/** In lower case. */
export const hostPattern = parsed('a host name', STRING, (value) => {
  const wildcard = value.startsWith('*.');
  const read = readHostName(wildcard ? value.slice(2) : value);
  if (read instanceof Wrong) {
    const hint = spellingHint(value) ?? 'give a name, or *.example.com for one label before .example.com';
    return new Wrong(`is "${value}", which is no host name`, value === '*' ? `${hint}; unknown names get a 404` : hint);
  }
  return wildcard ? `*.${read}` : read;
});
