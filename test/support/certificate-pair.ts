// A pair of certificate files, named as the variables name them.

import { resolve } from 'node:path';
import type { CertificatePair } from '../../src/control/configuration.ts';

export function makePair(certFile: string, keyFile: string | undefined, passwordFile?: string): CertificatePair {
  const setting = (name: string) => ({ place: name, name });
  return {
    certFile: resolve(certFile),
    keyFile: keyFile === undefined ? undefined : resolve(keyFile),
    passwordFile: passwordFile === undefined ? undefined : resolve(passwordFile),
    certSetting: setting('SSL_CRT'),
    keySetting: setting('SSL_KEY'),
    passwordSetting: setting('SSL_KEY_PASSWORD_FILE'),
  };
}
