package tokens

import (
	"runtime"
	"strings"
	"testing"
)

const (
	english = "The proxy keeps every conversation as an append-only log, and composes each prompt from it within a budget of tokens. It doesn't forget what you've said; it only leaves out what no longer fits. On 12 March 2025, 1,234 requests were served by 3 machines, none of which had been restarted for weeks.\n\n"
	jsonish = `{"id":"chatcmpl-9XyZ","object":"chat.completion","created":1741570283,"choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"call_a1B2c3","type":"function","function":{"name":"get_reservation_details","arguments":"{\"reservation_id\":\"4WQ150\"}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":82,"completion_tokens":17}}` + "\n"
	chinese = "代理服务器将每次对话保存为只追加的日志,并在令牌预算之内由此组成提示。较早的内容只是不再发送,从不会被遗忘。二〇二五年三月,三台机器处理了一千多个请求,其中没有一台在数周内重新启动过。\n"
)

func fill(text string, size int) string {
	text = strings.Repeat(text, size/len(text)+1)
	return strings.ToValidUTF8(text[:size], "")
}

func BenchmarkCount(b *testing.B) {
	texts := []struct{ name, text string }{
		{"200B", fill(english, 200)},
		{"english", fill(english, 8192)},
		{"json", fill(jsonish, 8192)},
		{"chinese", fill(chinese, 8192)},
		{"letter_1MB", strings.Repeat("a", 1<<20)},
		{"ideograph_1MB", strings.Repeat("中", 1<<20/3)},
	}
	for _, v := range vocabularies {
		for _, text := range texts {
			b.Run(v.name+"/"+text.name, func(b *testing.B) {
				e := Encoding{vocabulary: v}
				e.Count(text.text)
				b.SetBytes(int64(len(text.text)))
				b.ReportAllocs()
				for b.Loop() {
					e.Count(text.text)
				}
			})
		}
		o := oracle(b, v)
		for _, text := range texts[:4] {
			b.Run(v.name+"/tiktoken/"+text.name, func(b *testing.B) {
				b.SetBytes(int64(len(text.text)))
				b.ReportAllocs()
				for b.Loop() {
					o(text.text)
				}
			})
		}
	}
}

// The texts above repeat a paragraph, so that their tokens stay in the cache. This
// one varies as real conversations do.
func BenchmarkCount_recorded_conversations(b *testing.B) {
	text := string(shared(b, "tau_bench_gpt-4o-airline.json"))
	for _, v := range vocabularies {
		b.Run(v.name, func(b *testing.B) {
			e := Encoding{vocabulary: v}
			e.Preload()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				e.Count(text)
			}
		})
	}
}

func BenchmarkLoad(b *testing.B) {
	for _, v := range vocabularies {
		b.Run(v.name, func(b *testing.B) {
			unicodeClasses()
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			var last *vocabulary
			b.ReportAllocs()
			for b.Loop() {
				last = &vocabulary{name: v.name, size: v.size, bits: v.bits}
				last.load()
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(1<<20), "MB-live")
			runtime.KeepAlive(last)
		})
	}
}
