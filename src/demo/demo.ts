// The demo: a frontend and a backend on loopback, so that a first run has something to show behind the door.

import { startDemoBackend } from './backend.ts';
import { startDemoFrontend } from './frontend.ts';

export interface Demo {
  readonly frontendPort: number;
  readonly backendPort: number;
  close(): Promise<void>;
}

/** `apiBaseRoute` is where the browser finds the backend: `https://api.example.com`, or `/_api` on the frontend's own name. */
export async function startDemo(options: { apiBaseRoute: string }): Promise<Demo> {
  const backend = await startDemoBackend();
  try {
    const frontend = await startDemoFrontend(options);
    return {
      frontendPort: frontend.port,
      backendPort: backend.port,
      close: async () => {
        await Promise.all([frontend.close(), backend.close()]);
      },
    };
  } catch (cause) {
    await backend.close();
    throw cause;
  }
}
