import type { Money } from "./money";
import { Injectable } from "@angular/core";

/** A line of an order. */
export interface Line<T = string> {
  sku: T;
  price?: Money;
  total(quantity: number): Money;
}

export type Lines = ReadonlyArray<Line>;

export enum State {
  Open = "open",
  Closed = "closed",
}

export namespace Shop.Tax {
  /** Rate of a country. */
  export function rate(country: string): number {
    return country === "DE" ? 0.19 : 0.2;
  }
}

/**
 * Stores orders.
 */
@Injectable({ providedIn: "root" })
export class OrderService<T extends Line> implements Disposable {
  private readonly lines: Map<string, T> = new Map();
  protected state?: State;

  constructor(private readonly http: HttpClient, public name = "orders") {}

  /** Finds one line. */
  @Memoize()
  public async find(@Inject(KEY) sku: string, fallback?: T): Promise<T | undefined> {
    const found = this.lines.get(sku);
    if (!found && fallback) {
      return fallback;
    }
    return found;
  }

  handle = async (event: Event): Promise<void> => {
    for (const line of this.lines.values()) {
      if (line.price === undefined) {
        continue;
      }
    }
  };
}

export abstract class Base {
  abstract name(): string;

  protected greet(): string {
    return `Hello ${this.name()}`;
  }
}

export function overload(value: string): string;
export function overload(value: number): number;
export function overload(value: unknown): unknown {
  return value;
}

export const isOpen = (state: State): state is State.Open => state === State.Open;

const double = function <T>(values: T[], times: number = 2): T[] {
  return Array(times).fill(values).flat();
};

declare module "legacy" {
  export function old(): void;
}

declare class Ambient {
  method(argument: string): void;
}
