package summarize

import (
	"slices"
	"strings"
	"testing"
)

// keys are a text's values of one kind.
func keys(text string, k kind) string {
	var found []string
	for v := range valuesOf(text, false) {
		if v.kind == k {
			found = append(found, v.key)
		}
	}
	slices.Sort(found)
	return strings.Join(found, " ")
}

func TestValues_are_found_by_their_form(t *testing.T) {
	tests := []struct {
		kind kind
		text string
		want string
	}{
		{number, "It costs 1,299.00 in all, or 1.299 if you pay now.", "1299"},
		{number, "Das macht 1.234,50 Euro.", "1234.5"},
		{number, "one of 12 in 3 of 45 cases", ""},
		{number, "$45, 7 €, 20 %, £1.5m and 300円", "1.5 20 300 45 7"},
		{number, "at 9:30 or at 14:05:00", "14:05:00 9:30"},
		{number, "pages 10-15, 3/4 of it", ""},
		{number, "card 555-0199", "5550199"},
		{number, "call +49 (30) 123-4567 now", "49301234567"},
		{number, "版本٣٥٠与１２３４", "1234 350"},
		{number, "10 000 000", "000"}, // groups apart by plain spaces are groups
		{number, "10\u00a0000\u202f000", "10000000"},
		{date, "on 2024-05-01, 01.05.2024 or 1/5/2024", "2024-5-1"},
		{date, "2025年3月18日到", "2025-18-3"},
		{date, "version 1.2.3", ""},
		{identifier, "ORD-4471, user_id, INV2024001, A17 and covid-19", "a17 covid-19 inv2024001 ord-4471 user_id"},
		{identifier, "a well-known follow-up, the 10th, 5kg, 24h, Smith-Jones", ""},
		{identifier, "订单SF1098827364已发货", "sf1098827364"},
		{address, "mail anna.b+x@example.co.uk or see https://www.example.com/a?b=1.", "anna.b+x@example.co.uk example.com/a?b=1"},
		{address, "请看https://example.cn/帮助，或发到wang@example.cn。", "example.cn wang@example.cn"},
		{phrase, "the book “Momo”, „Die Welle“, «Война и мир», 「雪国」, 『こころ』 and \"Emma\"", "die welle emma momo война и мир こころ 雪国"},
		{phrase, "\"1234\" and \"" + strings.Repeat("long ", 20) + "\"", ""},
		{word, "We met Anna Lund in Oslo. Then GitHub was down, and I'm sad. Yes, I am.", "anna github lund oslo"},
		{word, "Вчера Анна Петрова приехала в Казань.", "анна казань петрова"},
		{word, "Η κόρη της Μαρίας μένει στην Αθήνα.", "αθήνα μαρίας"},
		{word, "我们用redis和PostgreSQL做缓存，部署在上海。", "postgresql redis"},
		{word, "データベースはサーバーにあります。", "サーバー データベース"},
		{word, "استخدم docker على الخادم", "docker"},
		{word, "Nothing. Here: Is (a) name!\nNor \"Here\"", ""},
	}
	for _, test := range tests {
		if got := keys(test.text, test.kind); got != test.want {
			t.Errorf("%q has %q of kind %d, want %q", test.text, got, test.kind, test.want)
		}
	}
}

func TestValues_survive_being_written_otherwise(t *testing.T) {
	for _, test := range []struct{ said, record string }{
		{"the price is 1,299.00", "price: 1299"},
		{"the price is $1.234,50", "costs 1234.50 dollars"},
		{"on 2024-05-17", "on May 17, 2024"},
		{"on 17.05.2024", "2024/05/17"},
		{"order ORD-4471", "order 4471"},
		{"see https://www.example.com/a/", "see http://example.com/a."},
		{"+33 1 42 68 53 00", "+33-1-42685300"},
		{"٣٥٠", "350"},
		{"we met Петрову there", "Петрова"},
		{"she is Annika", "Annikas Reise"},
		{"mail ANNA@example.com", "anna@example.com"},
		{"the film «Война и мир»", "война и мир"},
		{"at 09:30", "um 9:30"},
	} {
		values := valuesOf(test.said, false)
		if len(values) == 0 {
			t.Errorf("%q has none", test.said)
		}
		for v := range values {
			if !recordOf(test.record).holds(v) {
				t.Errorf("%q: %v is not found in %q", test.said, v, test.record)
			}
		}
	}
}

func TestValues_do_not_survive_by_chance(t *testing.T) {
	for _, test := range []struct{ said, record string }{
		{"order ORD-4471", "order ORD-4472, of 2024"},
		{"invoice INV-2024-0917", "on 17 May 2024"},
		{"on 2024-05-17", "in 2024, with 3 others"},
		{"the price is 1299", "the price is 129912"},
		{"the price is 12.99%", "1299"},
		{"we met Rosa there", "the prosaic, sclerosant one"},
		{"ask Bernhard", "ask Bert"},
		{"code covid-19", "19 codes"},
		{"mail anna@example.com", "mail joanna or example.com"},
	} {
		for v := range valuesOf(test.said, false) {
			if recordOf(test.record).holds(v) {
				t.Errorf("%q: %v is found in %q", test.said, v, test.record)
			}
		}
	}
}

func TestNames_of_a_language_that_capitalises_nouns_stand_beside_others(t *testing.T) {
	text := "Meine Kollegin Sabine Krüger und ich haben das Protokoll der Sitzung mit dem Kunden und die Liste der Aufgaben für die Firma auf den Server gelegt."
	if !capitalisesNouns([]string{text}) {
		t.Fatal("German is not known")
	}
	var found []string
	for v := range valuesOf(text, true) {
		found = append(found, v.key)
	}
	slices.Sort(found)
	if got := strings.Join(found, " "); got != "kollegin krüger sabine" {
		t.Errorf("found %q", got)
	}
	for _, other := range []string{
		"Please send the parcel to Anna Lund in Oslo, or to Boris in Kazan; Chiara and Dmitri will know.",
		"Le colis est pour Édith Roux à Lyon.", "Het pakket is voor de heer Jansen.", "", "你好",
	} {
		if capitalisesNouns([]string{other}) {
			t.Errorf("%q is taken for German", other)
		}
	}
}

func FuzzValues(f *testing.F) {
	for _, s := range samples {
		f.Add(s.said[1], s.good[0])
	}
	f.Add(" A", "-B \xff")
	f.Fuzz(func(t *testing.T, said, text string) {
		for _, nouns := range []bool{false, true} {
			r := recordOf(said)
			for v := range valuesOf(said, nouns) {
				if v.key == "" {
					t.Errorf("an empty %d in %q", v.kind, said)
				}
				_ = r.holds(v)
				_ = recordOf(text).holds(v)
			}
		}
	})
}
