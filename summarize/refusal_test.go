package summarize

import (
	"strings"
	"testing"
)

func TestRefuses_knows_how_models_say_no(t *testing.T) {
	for _, text := range []string{
		"I'm sorry, but I can't assist with that.",
		"I’m sorry, but I can’t help with that request.",
		"Sorry, I cannot provide a summary of this conversation.",
		"I am unable to summarize this content.",
		"I cannot fulfill this request.",
		"Unfortunately, I can't process that transcript.",
		"I must decline to record this.",
		"As an AI language model, I cannot do that.",
		"**I'm sorry, I won't do that.**",
		"Es tut mir leid, aber dabei kann ich nicht helfen.",
		"Tut mir leid, ich kann diese Anfrage nicht bearbeiten.",
		"Leider kann ich dieses Gespräch nicht zusammenfassen.",
		"Je suis désolé, mais je ne peux pas vous aider.",
		"Désolée, je ne peux pas faire cela.",
		"Lo siento, pero no puedo ayudar con eso.",
		"Desculpe, mas não posso ajudar com isso.",
		"Mi dispiace, ma non posso aiutarti.",
		"Het spijt me, maar ik kan dat niet doen.",
		"Przepraszam, ale nie mogę w tym pomóc.",
		"Извините, но я не могу помочь с этим.",
		"К сожалению, я не могу выполнить этот запрос.",
		"Üzgünüm, bu konuda yardımcı olamam.",
		"عذرًا، لا أستطيع المساعدة في ذلك.",
		"آسف، لا يمكنني تلبية هذا الطلب.",
		"抱歉，我无法协助处理该请求。",
		"很抱歉，我不能总结这段对话。",
		"對不起，我無法提供協助。",
		"申し訳ありませんが、そのリクエストにはお応えできません。",
		"大変申し訳ございませんが、お手伝いできません。",
		"죄송하지만 도와드릴 수 없습니다.",
		"मुझे खेद है, मैं इसमें मदद नहीं कर सकता।",
	} {
		if !refuses(text) {
			t.Errorf("%q is not taken for a refusal", text)
		}
	}
}

func TestRefuses_lets_records_pass_in_which_somebody_refuses(t *testing.T) {
	texts := []string{
		"The user asked for a refund; the assistant said it was sorry but could not help.",
		"Anna Lund is sorry that she can't come on 3 May.",
		"The customer said: I'm sorry, but I can't pay before Friday.",
		"As an AI course participant, Anna needs the script by Friday.",
		"Anna bedauert, dass sie nicht kommen kann; leider war der Zug verspätet.",
		"Kundin: Annika. Ich-Form ist erwünscht.",
		"客户抱歉地表示无法在周五前付款。",
		"お客様は申し訳ないと述べ、9月20日には来られないと伝えた。",
		"Клиент не может прийти в пятницу.",
		"اعتذرت ليلى لأنها لا تستطيع الحضور.",
		"Unfortunately, the parcel was lost; DHL can't find it.",
		"I can meet Anna on Friday, said the user.",
		"", "Noted.",
	}
	for _, s := range samples {
		texts = append(texts, s.good...)
	}
	for _, text := range texts {
		if refuses(text) {
			t.Errorf("%q is taken for a refusal", text)
		}
	}
}

func TestRefuses_looks_at_the_beginning_only(t *testing.T) {
	if refuses("Anna asked for a refund. " + strings.Repeat("She was told to wait. ", 1<<16) + "I'm sorry, but I can't help.") {
		t.Error("taken for a refusal")
	}
}
