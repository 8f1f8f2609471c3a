// A roster: who is there now, where many come and go.

/**
 * In place of a Set. A Set that is filled and emptied is built anew again and again, and each table points to the one that followed it: for
 * young generation collections one that died old keeps all later ones alive, and whoever was in them (a fifth of what was allocated, as measured).
 * Here a place is taken, and given back by its number.
 */
export class Roster<T extends object> {
  readonly #places: (T | undefined)[] = [];
  readonly #free: number[] = [];

  get size(): number {
    return this.#places.length - this.#free.length;
  }

  /** Returns the place, by which it is taken out: once, since the place goes to somebody else then. */
  add(each: T): number {
    const place = this.#free.pop();
    if (place === undefined) return this.#places.push(each) - 1;
    this.#places[place] = each;
    return place;
  }

  remove(place: number): void {
    if (this.#places[place] === undefined) return;
    this.#places[place] = undefined;
    this.#free.push(place);
  }

  /** Who comes or goes meanwhile may be among them or not. */
  *[Symbol.iterator](): Generator<T> {
    for (const each of this.#places) if (each !== undefined) yield each;
  }
}
