# Part of a small shop.

## Tills and what is in them.
## Amounts are whole cents.

import std/[strutils, tables]
from std/os import paramStr
include helpers

const maxCoins* = 40

type
  Till* = ref object of RootObj
    ## A drawer with coins.
    coins*: int
    names: seq[string]

  Line = object ## One line of a receipt.
    price: int

  Color* = enum red, green

  Amount* = distinct int

  OnOpen = proc (till: Till): bool {.closure.}

proc shut*(till: Till)

proc open*(till: Till, coins: int = 1; quiet, slow = false): int {.discardable.} =
  ## Open the till and put coins into it.
  ##
  ## Nothing happens when it is full.
  if quiet and coins > maxCoins:
    return 0
  case coins
  of 0: echo "empty"
  of 1, 2: till.coins += coins
  else:
    for name in till.names:
      echo name
  result = till.coins

# Shuts it, whatever is in it.
proc shut*(till: Till) =
  till.coins = 0

func total[T: SomeInteger](prices: openArray[T]): T =
  for price in prices:
    result += price

method describe*(till: Till): string {.base.} =
  "till of " & $till.coins

iterator coins*(till: Till): int =
  ## Each coin.
  yield till.coins

template withTill*(till: Till, body: untyped) =
  try:
    body
  finally:
    till.shut()

macro named(x: untyped): untyped =
  result = x

converter toInt*(amount: Amount): int = int(amount)

proc `+`*(a, b: Amount): Amount {.borrow.}

proc `coins=`*(till: Till, value: int) =
  doAssert value >= 0
  till.coins = value

let twice = proc (price: int): int = 2 * price

when isMainModule:
  proc main() =
    let till = Till(coins: 3)
    till.open()
  main()
