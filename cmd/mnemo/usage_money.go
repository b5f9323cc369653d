package main

import "strconv"

// Private

// dollar is in nano-dollars.
const dollar = 1_000_000_000

// decimalsOf is how many decimals amounts in nano-dollars need beside each other, so that
// none looks like nothing: two, or two digits of the smallest.
func decimalsOf(nanos ...int64) int {
	decimals := 2
	for _, n := range nanos {
		need := 2
		for least := magnitude(n); least > 0 && least < dollar/10 && need < 9; need++ {
			least *= 10
		}
		decimals = max(decimals, need)
	}
	return decimals
}

// usd is an amount in dollars, rounded to so many decimals.
func usd(nano int64, decimals int) string {
	unit := uint64(1)
	for range 9 - decimals {
		unit *= 10
	}
	rounded := (magnitude(nano) + unit/2) / unit
	per := dollar / unit
	text := "$" + strconv.FormatUint(rounded/per, 10)
	if decimals > 0 {
		text += "." + strconv.FormatUint(per+rounded%per, 10)[1:]
	}
	if nano < 0 {
		text = "-" + text
	}
	return text
}

// shortUSD is one amount as people read it.
func shortUSD(nano int64) string { return usd(nano, decimalsOf(nano)) }

func magnitude(nano int64) uint64 {
	if nano < 0 {
		return -uint64(nano)
	}
	return uint64(nano)
}
