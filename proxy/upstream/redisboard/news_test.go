package redisboard

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"mnemo/internal/bubble"
	"mnemo/memory/storetest/redisserver"
)

func TestFinding_is_told_with_what_is_left_of_it(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		f := finding{open: true, until: time.Now().Add(3 * time.Second)}
		time.Sleep(time.Second)
		if left, ok := f.left(); left != 2000 || !ok {
			t.Errorf("left are %d ms, %v", left, ok)
		}
		time.Sleep(2 * time.Second)
		if _, ok := f.left(); ok {
			t.Error("what is over is told")
		}
		f.until = time.Now().Add(1000 * time.Hour)
		if left, _ := f.left(); left != longest.Milliseconds() {
			t.Errorf("left are %d ms", left)
		}
		if left, ok := (&finding{}).left(); left != 0 || !ok {
			t.Errorf("closed for %d ms, %v", left, ok)
		}
	})
}

func TestFinding_has_a_field_of_its_own(t *testing.T) {
	fields := map[string]bool{}
	for _, f := range []finding{{upstream: "a", model: "bc"}, {upstream: "ab", model: "c"}, {upstream: "abc"}, {model: "abc"}, {upstream: "1:a", model: "bc"}} {
		fields[f.field()] = true
	}
	if len(fields) != 5 {
		t.Errorf("fields are %v", fields)
	}
}

func TestTell_bounds_what_is_written_down(t *testing.T) {
	server := redisserver.Start(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr})
	defer client.Close()
	say := func(field string, open, most int) {
		t.Helper()
		if err := tell.Run(t.Context(), client, []string{"board"}, field, "{}", open, most, "channel").Err(); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 5 {
		say(fmt.Sprint(i), 3_600_000, 3)
	}
	if n := client.HLen(t.Context(), "board").Val(); n != 3 {
		t.Errorf("%d findings, want 3", n)
	}
	say("0", 0, 3)
	say("3", 3_600_000, 3)
	if fields := client.HKeys(t.Context(), "board").Val(); strings.Join(fields, "") == "012" || len(fields) != 3 {
		t.Errorf("fields are %v", fields)
	}
	client.HSet(t.Context(), "board", "1", "1 {}", "2", "no time")
	say("4", 1_000, 3)
	say("5", 1_000, 3)
	if n := client.HLen(t.Context(), "board").Val(); n != 3 || client.HExists(t.Context(), "board", "1").Val() {
		t.Errorf("what is over was kept; %d findings", n)
	}
	if ttl := client.PTTL(t.Context(), "board").Val(); ttl < 50*time.Minute {
		t.Errorf("all of it expires in %v", ttl)
	}
	found, err := read.Run(t.Context(), client, []string{"board"}, 3).Slice()
	if err != nil || len(found) != 6 {
		t.Errorf("read %v, %v", found, err)
	}
	if found, err := read.Run(t.Context(), client, []string{"board"}, 2).Slice(); err != nil || len(found) != 0 {
		t.Errorf("read %v of too many, %v", found, err)
	}
}

func TestBoard_complains_once_a_minute_and_says_when_it_is_over(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		b := &Board{log: slog.New(slog.NewTextHandler(&log, nil))}
		b.recovered()
		for range 150 {
			b.drop(errors.New("away"))
			time.Sleep(time.Second)
		}
		b.recovered()
		b.recovered()
		if n := strings.Count(log.String(), "level=WARN"); n != 3 || strings.Count(log.String(), "level=INFO") != 1 || !strings.Contains(log.String(), "dropped=150") {
			t.Errorf("log = %s", log.String())
		}
	})
}

func TestTell_refuses_what_is_too_long(t *testing.T) {
	b := &Board{}
	if err := b.tell(&finding{upstream: "u", model: strings.Repeat("m", maxNews)}); err == nil || len(err.Error()) > 100 {
		t.Errorf("error %v", err)
	}
}
