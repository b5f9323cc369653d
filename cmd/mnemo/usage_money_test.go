package main

import (
	"math"
	"testing"
)

func TestShortUSD_never_makes_nothing_of_something(t *testing.T) {
	for nano, want := range map[int64]string{
		0: "$0.00", 1: "$0.000000001", 12: "$0.000000012", 123: "$0.00000012", 1_234_500: "$0.0012", 12_345_000: "$0.012", 99_960_000: "$0.100",
		123_456_789: "$0.12", 999_999_999: "$1.00", 1_000_000_000: "$1.00", 1_005_000_000: "$1.01", 1234_567_890_123: "$1234.57",
		-1: "-$0.000000001", -1_234_500_000: "-$1.23", math.MaxInt64: "$9223372036.85", math.MinInt64: "-$9223372036.85",
	} {
		if got := shortUSD(nano); got != want {
			t.Errorf("%d: got %s, want %s", nano, got, want)
		}
	}
}

func TestUSD_is_as_exact_as_the_smallest_beside_it(t *testing.T) {
	decimals := decimalsOf(12_345_678_901, 0, 45_600, -7_000_000)
	if decimals != 6 || usd(12_345_678_901, decimals) != "$12.345679" || usd(45_600, decimals) != "$0.000046" || usd(0, decimals) != "$0.000000" {
		t.Errorf("%d decimals, %s, %s", decimals, usd(12_345_678_901, decimals), usd(45_600, decimals))
	}
	if got := usd(1_999_999_999, 0); got != "$2" {
		t.Error(got)
	}
}
