package config

import "testing"

func TestSize_reads_units_of_1024_and_of_1000(t *testing.T) {
	for text, want := range map[string]Size{
		"0": 0, "1": 1, "512B": 512, "64KiB": 65536, "64kib": 65536, "32 MiB": 32 << 20, "2GiB": 2 << 30,
		"16kB": 16000, "16MB": 16e6, "1gb": 1e9, "9223372036854775807": 1<<63 - 1,
	} {
		var s Size
		if err := s.UnmarshalText([]byte(text)); err != nil || s != want {
			t.Errorf("%s gives %d, %v, want %d", text, int64(s), err, int64(want))
		}
	}
}

func TestSize_refuses_what_is_no_size(t *testing.T) {
	for _, text := range []string{"", "MiB", "-1", "+1", "1.5MiB", "1 M", "1M", "1MiB ", "0x10", "1e3", "9223372036854775808", "9999999999GiB", "1TiB"} {
		s := Size(7)
		if err := s.UnmarshalText([]byte(text)); err == nil || s != 7 {
			t.Errorf("%q gives %d, %v", text, int64(s), err)
		}
	}
}

func TestSize_prints_the_shortest_exact_form(t *testing.T) {
	for size, want := range map[Size]string{
		0: "0", 1: "1", 1000: "1000", 1024: "1KiB", 1025: "1025", 32 * MiB: "32MiB", 1536 * MiB: "1536MiB", 2 * GiB: "2GiB",
	} {
		var back Size
		if got := size.String(); got != want || back.UnmarshalText([]byte(got)) != nil || back != size {
			t.Errorf("%d prints %s, want %s", int64(size), got, want)
		}
	}
}
