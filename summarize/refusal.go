package summarize

import (
	"regexp"
	"strings"
)

// Private

// refusals is how a model says that it will not do what it was asked, at the
// beginning of its answer, in the languages that are spoken most.
var refusals = regexp.MustCompile(`^(?:` + strings.Join([]string{
	// an apology and an inability
	`(?:i'm|i am|we're|we are)? ?(?:very |so |truly )?(?:sorry|afraid|unable)\b.{0,40}\b(?:i can't|i cannot|i can not|i'm unable|i am unable|i won't|to (?:assist|help|comply|summarize|provide|continue|process|create|fulfill))`,
	`(?:unfortunately,? |regrettably,? |i apologi[sz]e,? but )?(?:i can't|i cannot|i can not|i'm unable to|i am unable to|i won't|i'm not able to|i am not able to|i must decline|i decline)\b`,
	`as an? (?:ai|artificial|large language|language)\b.{0,40}\b(?:can't|cannot|unable|not able|don't|do not)`,
	`(?:(?:es )?tut mir leid|entschuldigung|leider)\b.{0,40}\b(?:kann|darf|werde) ich\b.{0,80}\bnicht|(?:(?:es )?tut mir leid|entschuldigung)\b.{0,10}\bich (?:kann|darf|werde)\b|ich kann (?:dir |ihnen )?(?:dabei|damit|hierbei|das|diese[rn]?)\b.{0,40}\bnicht\b`,
	`(?:(?:je suis )?(?:désolé|navré)e?|je m'excuse|malheureusement).{0,20}je ne (?:peux|suis|saurais)|je ne peux pas (?:vous |t')?aider`,
	`(?:lo siento|lo lamento|disculpa|perdón|lamentablemente).{0,20}\bno (?:puedo|es posible|me es)|no puedo (?:ayudar|asistir|cumplir)`,
	`(?:desculpe|sinto muito|lamento|infelizmente).{0,20}não (?:posso|consigo)|não posso (?:ajudar|atender)`,
	`(?:mi dispiace|spiacente|purtroppo).{0,20}non (?:posso|sono in grado)|non posso (?:aiutar|soddisfare)`,
	`(?:het spijt me|sorry|helaas).{0,20}(?:ik kan|kan ik)\b.{0,40}\bniet`,
	`(?:przepraszam|przykro mi|niestety).{0,20}nie mog[ęe]`,
	`(?:извините|простите|к сожалению|мне жаль|прошу прощения).{0,20}я? ?не (?:могу|смогу|в состоянии)|я не могу (?:помочь|выполнить|обсуждать)`,
	`(?:üzgünüm|maalesef).{0,60}(?:edemem|yapamam|yardımcı olamam|mümkün değil)`,
	`(?:عذر[اًا]+|آسف|أعتذر|للأسف|أنا آسف).{0,20}(?:لا (?:أستطيع|يمكنني|أقدر)|لن أتمكن)|لا (?:أستطيع|يمكنني) (?:مساعد|المساعد|تلبية|تقديم)`,
	`(?:很|非常|十分)?(?:抱歉|对不起|對不起|不好意思|遗憾|遺憾).{0,10}(?:我|这|這)?.{0,6}(?:无法|無法|不能|不可以|不便|没法|拒绝)|(?:作为|作為)(?:一个|一個|一名)?(?:ai|人工智能|人工智慧|语言模型|語言模型).{0,20}(?:无法|無法|不能)|我(?:无法|無法|不能)(?:协助|協助|帮助|幫助|提供|满足|滿足|回答|完成)`,
	`(?:大変|誠に)?(?:申し訳|すみません|すいません|恐れ入り|恐縮|残念).{0,60}(?:できません|できかね|いたしかね|致しかね|お応え|対応でき|お手伝いでき)`,
	`(?:죄송|미안|유감).{0,60}(?:없습니다|없어요|어렵습니다|못합니다)`,
	`(?:मुझे खेद|क्षमा करें|माफ़ करें|माफ कीजिए).{0,60}(?:नहीं|असमर्थ)`,
}, "|") + `)`)

// refuses reports whether the text begins as a refusal does.
func refuses(text string) bool {
	const beginning = 600
	text = shortenedTo(text, beginning)
	text = strings.Join(strings.Fields(strings.ToLower(plain(text))), " ")
	return refusals.MatchString(strings.TrimLeft(text, `"'*_#>“«「 `))
}

// shortenedTo is the text's beginning.
func shortenedTo(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "")
}
