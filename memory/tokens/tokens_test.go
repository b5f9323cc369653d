package tokens

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/pkoukk/tiktoken-go"
	loader "github.com/pkoukk/tiktoken-go-loader"
)

var vocabularies = []*vocabulary{o200k, cl100k}

// oracle is the Go port of OpenAI's tiktoken.
func oracle(tb testing.TB, v *vocabulary) func(text string) int {
	tb.Helper()
	tiktoken.SetBpeLoader(loader.NewOfflineLoader())
	o, err := tiktoken.GetEncoding(v.name)
	if err != nil {
		tb.Fatal(err)
	}
	return func(text string) int { return len(o.EncodeOrdinary(text)) }
}

// shared reads a file of published data, which is kept beside the repository, and
// skips the test where it is not there.
func shared(t testing.TB, name string) []byte {
	t.Helper()
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for root != filepath.Dir(root) {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			break
		}
		root = filepath.Dir(root)
	}
	raw, err := os.ReadFile(filepath.Join(root, "..", "shared", "data", name))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("%s is not here", name)
	}
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

var corpus = []string{
	"",
	"a",
	" ",
	"\n",
	"hello world",
	"The quick brown fox jumps over the lazy dog. Doesn't it? It's what they'd say; we've said I'm sure you'll agree.",
	"DON'T SHOUT: THEY'RE, WE'VE, I'M, YOU'LL, HE'D, IT'S. It'S mIxEd, they'Re, we'vE, 'tis, rock'n'roll, o''clock, 's 't 'RE",
	"don’t use a typographic apostrophe, it’s not in the pattern",
	"'ſ don'ſt 'Sx 'x ' '' '\n'",
	"camelCase PascalCase HTTPServer XMLHttpRequest snake_case SCREAMING_SNAKE iPhone eBay McDonald ΑΒΓαβγ ДомДОМ ǅungla ǆ ǅ ǄA",
	"func (v *vocabulary) count(m *merger, piece string) int {\n\tif len(piece) <= 128 && v.rank(piece) != none {\n\t\treturn 1\n\t}\n\treturn m.merge(v, piece)\n}\n",
	"def f(x):\n    return [i**2 for i in range(x) if i % 2 == 0]  # squares\n\n\nclass A:\n\tpass\n",
	"<!DOCTYPE html>\n<a href=\"https://example.com/a/b?c=d&e=%20f#g\">x</a><!-- //comment -->\r\n</html>\r\n",
	`{"a":[1,2.5,-3e10,true,false,null],"b":{"c":"\u00e9\n\"quoted\""},"d":"` + "\t" + `"}`,
	"SELECT * FROM t WHERE a = 'b' AND c <> 1; -- x\n///\n//\n/ /\n!/\n/!\n?!\r\n\r\n//\n",
	"代理服务器将每次对话保存为只追加的日志,并在令牌预算之内由此组成提示。较早的内容从不会被遗忘!",
	"東京は日本の首都です。カタカナとひらがな、漢字。ﾊﾝｶｸ ー々〆",
	"대한민국의 수도는 서울입니다. 안녕하세요? 한글 자모: ㄱㄴㄷ 각",
	"العربية لغة جميلة، وَهَذَا نَصٌّ مُشَكَّل. ٠١٢٣٤٥٦٧٨٩ ؟",
	"עברית היא שפה יפה. שָׁלוֹם עוֹלָם! \"צה״ל\"",
	"ภาษาไทยไม่มีการเว้นวรรคระหว่างคำ และมีสระกับวรรณยุกต์ ๑๒๓",
	"हिन्दी भारत की भाषा है। नमस्ते दुनिया! क्षत्रिय १२३४५",
	"தமிழ் বাংলা ગુજરાતી ಕನ್ನಡ മലയാളം ශ්\u200dරී ລາວ မြန်မာ ខ្មែរ ქართული հայերեն አማርኛ",
	"👍 👨‍👩‍👧‍👦👩🏽‍💻🏳️‍🌈 🇩🇪🇫🇷 ❤️ ☎️1️⃣ text👍text 👍\n👍👍👍👍",
	"e\u0301 a\u0308\u0301o \u0301\u0301\u0301 x\u0301Y\u0301z \u0301A \u0301AB1 !\u0301a A\u0301'S \u0903क",
	"1 12 123 1234 12345678901234567890 1,234.56 ½ Ⅷ ² ٣٤٥٦ ๑๒๓๔ 𝟘𝟙𝟚𝟛 a1b2c3 1a 12ab",
	"trailing   ", "   leading", "a  b   c    d", "a\tb\t\tc", "\t\tx", " \t x", "a \n b", "a\n\n\nb", "a\r\nb\r\n\r\n", "\r\r\n\n\r", "  \n  \n  x",
	"a\u00a0b\u00a0\u00a0c \u00a0 \u2003\u2003x\u3000\u3000y\u2028z\u2029\u0085\u0085w\v\f\v!\u1680\u202f\u205f ",
	"\u200b\u200c\u200d\u2060\ufeffx \u00ad y\u0000z\u0001\u001f\u007f\u0080\u009f",
	"<|endoftext|><|im_start|>user<|im_sep|>hi<|im_end|><|endofprompt|><|fim_prefix|>",
	"𝒜𝓪𝕬 𐐀𐐨 𠀀𠀁 𒀀 \U0010ffff \ue000 \ufffd \ufffe",
	"ªº ʰʱ ˈ ᵃ ⁿ ₐ ꟸ Ⓐⓐ",
	strings.Repeat("=", 300) + "\n" + strings.Repeat("-", 77) + strings.Repeat(" ", 333) + "x" + strings.Repeat("\n", 99) + strings.Repeat("\t", 65),
	"aGVsbG8gd29ybGQsIHRoaXMgaXMgYmFzZTY0IHRleHQ+Lz8vKysv0123456789abcdefABCDEF==",
	"https://user:pass@example.com:8080/path/to/%E4%B8%AD?query=1&b[]=2#frag",
	"C:\\Users\\name\\file.txt \\\\server\\share \\n\\t\\\"",
}

func TestCount_equals_tiktoken(t *testing.T) {
	for _, v := range vocabularies {
		want := oracle(t, v)
		e := Encoding{vocabulary: v}
		for _, text := range append(corpus, strings.Join(corpus, ""), strings.Join(corpus, "\n"), strings.Join(corpus, " ")) {
			if got, want := e.Count(text), want(text); got != want {
				t.Errorf("%s: %d tokens, not %d, in %q", v.name, got, want, text)
			}
		}
	}
}

// Characters of every class and of each case that the patterns treat apart, so
// that short random texts meet all alternatives and their backtracking.
var alphabet = []rune("aabBC dDtTsSrReE'''vVmMlL  \t\r\n\n/!.,-1234٣²ⅧéÉñßǅʰªºאבงกเาิ中文字日かなカ한국अनम\u0301\u0302\u0903" +
	"\u00a0\u2003\u2028\u0085👍👨\u200d🏽\ufe0fſKİ\u0000\ufffd𝒜𝓪𐐀𐐨’’")

func TestCount_equals_tiktoken_for_random_text(t *testing.T) {
	for _, v := range vocabularies {
		want := oracle(t, v)
		e := Encoding{vocabulary: v}
		random := rand.New(rand.NewPCG(1, 2))
		for range 20_000 {
			text := randomText(random, alphabet, 1+random.IntN(12))
			if got, want := e.Count(text), want(text); got != want {
				t.Fatalf("%s: %d tokens, not %d, in %q", v.name, got, want, text)
			}
		}
		for range 40 { // long pieces, of few kinds of characters
			first := random.IntN(len(alphabet))
			text := randomText(random, alphabet[first:first+1+random.IntN(min(8, len(alphabet)-first))], 1500)
			if got, want := e.Count(text), want(text); got != want {
				t.Fatalf("%s: %d tokens, not %d, in %q", v.name, got, want, text)
			}
		}
	}
}

func randomText(random *rand.Rand, from []rune, length int) string {
	var b strings.Builder
	for range length {
		b.WriteRune(from[random.IntN(len(from))])
	}
	return b.String()
}

func FuzzCount_equals_tiktoken(f *testing.F) {
	for _, text := range corpus {
		f.Add(text)
	}
	wants := []func(string) int{oracle(f, o200k), oracle(f, cl100k)}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 4096 {
			t.Skip("the oracle is slow")
		}
		for i, v := range vocabularies {
			e := Encoding{vocabulary: v}
			if got, want := e.Count(text), wants[i](text); got != want {
				t.Errorf("%s: %d tokens, not %d, in %q", v.name, got, want, text)
			}
		}
	})
}

func TestCount_takes_invalid_UTF8_for_replacement_characters(t *testing.T) {
	for _, v := range vocabularies {
		e := Encoding{vocabulary: v}
		for _, tt := range []struct{ text, same string }{
			{"\xff", "\ufffd"},
			{"caf\xe9 \xc3", "caf\ufffd \ufffd"},
			{"\xed\xa0\x80", "\ufffd\ufffd\ufffd"}, // a surrogate
			{"中\xe4\xb8", "中\ufffd\ufffd"},
		} {
			if got, want := e.Count(tt.text), e.Count(tt.same); got != want {
				t.Errorf("%s: %d tokens in %q, %d in %q", v.name, got, tt.text, want, tt.same)
			}
		}
	}
}

func TestCount_is_never_more_than_the_bytes(t *testing.T) {
	for _, v := range vocabularies {
		e := Encoding{vocabulary: v}
		for _, text := range corpus {
			if got := e.Count(text); got > len(text) || got == 0 && text != "" {
				t.Errorf("%s: %d tokens in %d bytes: %q", v.name, got, len(text), text)
			}
		}
	}
}

func TestEncoding_loads_once_for_many_goroutines(t *testing.T) {
	fresh := &vocabulary{name: o200k.name, size: o200k.size, bits: o200k.bits, split: o200k.split}
	e := Encoding{vocabulary: fresh}
	want := For("gpt-4o").Count(corpus[5])
	var all sync.WaitGroup
	for i := range 32 {
		all.Go(func() {
			if i%4 == 0 {
				e.Preload()
			}
			if got := e.Count(corpus[5]); got != want {
				t.Errorf("%d tokens, not %d", got, want)
			}
		})
	}
	all.Wait()
}

func TestVocabulary_knows_its_tokens_and_no_others(t *testing.T) {
	for _, v := range vocabularies {
		v.load()
		for _, token := range []string{"a", " the", " International", "\n\n", "\x00", "\xff", strings.Repeat(" ", 64)} {
			if v.rank(token) == none {
				t.Errorf("%s: %q is a token", v.name, token)
			}
		}
		for _, text := range []string{"", "\x00\x00\x00\x00\x00\x00", " xqzj", "not a token at all", strings.Repeat("q", 64)} {
			if rank := v.rank(text); rank != none {
				t.Errorf("%s: %q is no token, yet has rank %d", v.name, text, rank)
			}
		}
	}
}
