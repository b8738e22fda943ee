/**
 * @fileoverview Cart of the shop.
 */
'use strict';

import { round } from './money.js';
const events = require('events');

const RATE = 0.19;

/**
 * Price with tax.
 * @param {number} net
 * @returns {number}
 */
export function gross(net, rate = RATE, ...rest) {
  if (net < 0 || rate < 0) {
    throw new Error('negative');
  } else if (net === 0 && rest.length) {
    return 0;
  } else {
    return round(net * (1 + rate));
  }
}

// Sum of all lines.
export const total = async ({ lines }, [first, second] = []) => {
  let sum = 0;
  outer: for (const line of lines) {
    switch (line.kind) {
      case 'free':
        continue outer;
      case 'paid':
        sum += line.price ?? 0;
        break;
      default:
        sum += 1;
    }
  }
  return sum > 0 ? sum : first || second;
};

export class Cart extends events.EventEmitter {
  #lines = [];

  onClick = (event) => {
    this.add(event.target.dataset.sku);
  };

  constructor(user) {
    super();
    this.user = user;
  }

  get size() {
    return this.#lines.length;
  }

  static async *load(ids) {
    for await (const id of ids) {
      try {
        yield await fetch(`/carts/${id}`);
      } catch (error) {
        if (error.fatal) throw error;
      }
    }
  }
}

Cart.prototype.clear = function () {
  this.emit('clear');
};

const api = {
  version: 1,
  list() {
    return [1, 2, 3].map((id) => id * 2);
  },
  remove: function (id) {
    // Removes the cart with the given number from the store, after all of its lines have been removed, and tells
    // everyone who listens. The comment makes this member long enough for a chunk of its own: callbacks and short
    // members of object literals are read best together with the literal in which they stand, as in a table.
    if (!id) return;
    events.emit('remove', id);
    events.emit('removed', id);
  },
};

module.exports.legacy = function legacy(a, b) {
  return a && b;
};

export default function () {
  return api;
}

describe('Cart', () => {
  it('starts empty', () => {
    expect(new Cart().size).toBe(0);
  });
});
