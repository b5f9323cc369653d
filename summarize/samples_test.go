package summarize

import "mnemo/memory"

// A sample is a conversation with records of it that a careful person would accept
// and such that nobody would.
type sample struct {
	name     string
	previous string
	said     []string // the user and the assistant in turn
	good     []string // abstractive and extractive
	bad      []string
}

func (s *sample) messages() []memory.Message {
	all := make([]memory.Message, len(s.said))
	for i, text := range s.said {
		if i%2 == 0 {
			all[i] = user(text)
		} else {
			all[i] = assistant(text)
		}
	}
	return all
}

var samples = []sample{
	{
		name: "English, an order",
		said: []string{
			"Hi, I'm Marguerite Dupont. My order ORD-4471 from 3 May 2024 still hasn't arrived.",
			"I'm sorry to hear that, Ms Dupont. I see ORD-4471: two Aeron chairs for $2,390.00, shipped with DHL, tracking number JD014600006281230704.",
			"Right. Can you send them to my office instead? It's 14 Rue de Rivoli, 75004 Paris.",
			"I've changed the address to 14 Rue de Rivoli, 75004 Paris. DHL will deliver on 17 May 2024 between 9:00 and 12:00.",
			"Please call me before, on +33 1 42 68 53 00. And I never want to get phone calls after 18:00.",
			"Noted: the courier calls +33 1 42 68 53 00 first, and nobody calls after 18:00.",
			"Is there some compensation for the delay?",
			"Yes, I can offer 10% off, that is $239.00, as a voucher. The code is LATE-2024-DUPONT.",
			"Great, I'd rather have it on my Visa card.",
			"I'll ask the billing team, Ibrahim Haddad will write to marguerite.dupont@example.com by Friday.",
		},
		good: []string{
			"Marguerite Dupont (marguerite.dupont@example.com) asked about order ORD-4471 of 3 May 2024: two Aeron chairs for $2,390.00, shipped with DHL, tracking JD014600006281230704. Delivery was changed to 14 Rue de Rivoli, 75004 Paris, on 17 May 2024, 9:00 to 12:00; the courier calls +33 1 42 68 53 00 first. No calls after 18:00. A 10% refund ($239.00) was offered as voucher LATE-2024-DUPONT; she prefers it on her Visa card. Open: Ibrahim Haddad of billing writes to her by Friday.",
			"The customer Marguerite Dupont complained that order 4471, two Aeron chairs at $2390, was late. It now goes to her office at 14 Rue de Rivoli in Paris on 2024-05-17, after a call to her. She was offered $239 as compensation and wants it on her card; Ibrahim Haddad will get back to her.",
			"I'm Marguerite Dupont. My order ORD-4471 from 3 May 2024 still hasn't arrived. Two Aeron chairs for $2,390.00, shipped with DHL. Send them to my office: 14 Rue de Rivoli, 75004 Paris. Call me before, on +33 1 42 68 53 00. I never want to get phone calls after 18:00. 10% off, $239.00, as a voucher. I'd rather have it on my Visa card.",
		},
		bad: []string{
			"The user and the assistant talked about several topics.",
			"The customer asked about a late order, changed the delivery address, stated a preference for phone calls and asked for compensation. The assistant was helpful and offered a voucher, which the customer would rather have in another form. A colleague will follow up.",
			"Marguerite and the assistant talked about an order and about its delivery, and they found a solution for everything that she had asked for.",
		},
	},
	{
		name:     "English, a record that goes on",
		previous: "Marguerite Dupont ordered two Aeron chairs (ORD-4471, $2,390.00). They go to 14 Rue de Rivoli, 75004 Paris on 17 May 2024. No calls after 18:00. Ibrahim Haddad writes to marguerite.dupont@example.com by Friday.",
		said: []string{
			"Hello again. The chairs came, but one of the armrests is broken.",
			"I'm sorry. I've opened case RMA-88213 for it; Herman Miller will send a new armrest to Paris within 5 days.",
			"Thanks. Could you make the invoice out to Dupont & Fils, VAT number FR40303265045?",
			"Done, the new invoice is INV-2024-0917, made out to Dupont & Fils, FR40303265045.",
		},
		good: []string{
			"Marguerite Dupont (marguerite.dupont@example.com) ordered two Aeron chairs (ORD-4471, $2,390.00), delivered to 14 Rue de Rivoli, 75004 Paris on 17 May 2024. No calls after 18:00. Ibrahim Haddad writes to her by Friday. One armrest was broken: case RMA-88213, Herman Miller sends a new one within 5 days. Invoice INV-2024-0917 is made out to Dupont & Fils, VAT FR40303265045.",
			"Marguerite Dupont's order ORD-4471 (two Aeron chairs, $2,390.00) came to 14 Rue de Rivoli, 75004 Paris. No calls after 18:00. Ibrahim Haddad will write. A broken armrest is case RMA-88213 with Herman Miller. The invoice INV-2024-0917 goes to Dupont & Fils.",
		},
		bad: []string{
			// only what is new
			"One armrest was broken: case RMA-88213, Herman Miller sends a new one within 5 days. The invoice INV-2024-0917 is made out to another name, VAT number FR40303265045, as the customer asked for in this conversation.",
			// only what was there before
			"Marguerite Dupont ordered two Aeron chairs (ORD-4471, $2,390.00). They go to 14 Rue de Rivoli, 75004 Paris on 17 May 2024. No calls after 18:00. Ibrahim Haddad writes to marguerite.dupont@example.com by Friday.",
			"The customer reported a problem with furniture that she had ordered earlier, and asked for a change of the invoice. Both were dealt with.",
			"Chairs.",
		},
	},
	{
		name: "German, a journey",
		said: []string{
			"Guten Tag, ich plane mit meiner Frau Annika eine Reise nach Lissabon vom 12.09.2025 bis zum 19.09.2025. Unser Budget liegt bei 1.800 Euro.",
			"Das klingt schön! Für zwei Personen finde ich Flüge mit der TAP ab Hamburg, Flugnummer TP567, für 412,50 €. Das Hotel Mercy im Stadtteil Chiado kostet 139 € pro Nacht.",
			"Das Hotel gefällt uns. Annika ist Vegetarierin und verträgt keine Nüsse, bitte merken Sie sich das.",
			"Das habe ich notiert. Sieben Nächte im Hotel Mercy kosten 973 €. Soll ich unter dem Namen Jürgen Weißmann buchen?",
			"Ja, und die Rechnung bitte an die Firma Weißmann Elektrotechnik GmbH, Lübecker Straße 17, 22087 Hamburg.",
			"Die Buchung ist bestätigt, die Nummer lautet LX-20938. Die Stornierung ist bis zum 05.09.2025 kostenlos.",
			"Welche Ausflüge würden Sie uns empfehlen?",
			"Sehr beliebt ist ein Tag in Sintra mit dem Palast Pena. Die Karten kosten 14 € und sollten vorher gekauft werden.",
		},
		good: []string{
			"Jürgen Weißmann reist mit seiner Frau Annika (Vegetarierin, keine Nüsse) vom 12.09.2025 bis 19.09.2025 nach Lissabon, Budget 1.800 Euro. Flug TAP TP567 ab Hamburg für 412,50 €; Hotel Mercy in Chiado, 139 € pro Nacht, zusammen 973 €, Buchung LX-20938, bis 05.09.2025 kostenlos stornierbar. Rechnung an Weißmann Elektrotechnik GmbH, Lübecker Straße 17, 22087 Hamburg. Empfohlen: Sintra mit dem Palast Pena, Karten 14 €.",
			"Es geht um eine gemeinsame Reise nach Lissabon im September 2025, die höchstens 1800 Euro kosten soll. Gebucht wurde über Jürgen Weißmann das Hotel Mercy (LX-20938, 973 Euro); geflogen wird mit TP567. Annika isst kein Fleisch und keine Nüsse.",
		},
		bad: []string{
			"Der Nutzer und der Assistent haben über verschiedene Themen gesprochen.",
			"Der Nutzer plant mit seiner Frau einen Urlaub. Der Assistent hat passende Angebote herausgesucht, ein Zimmer reserviert und einen Tipp für Unternehmungen vor Ort gegeben. Alles wurde zur Zufriedenheit erledigt.",
		},
	},
	{
		name: "Chinese, a delivery",
		said: []string{
			"你好，我叫王小明，订单号是SF1098827364，手机号13800138000，想改一下送货地址。",
			"王先生您好，订单SF1098827364里有一台华为MateBook 14，金额6499元。请问新地址是？",
			"改到上海市浦东新区世纪大道1200号3楼，收件人写“李静”。",
			"好的，已改为上海市浦东新区世纪大道1200号3楼，收件人“李静”，预计2025年3月18日送达。",
			"另外发票抬头请开“星辰科技有限公司”，税号91310115MA1K4B2X7Y。",
			"发票已登记，抬头“星辰科技有限公司”，税号91310115MA1K4B2X7Y，会发到wang.xm@example.cn。",
			"我对花生过敏，赠品不要放零食。",
			"已备注：不要零食赠品。",
		},
		good: []string{
			"王小明（手机13800138000，wang.xm@example.cn）的订单SF1098827364：华为MateBook 14，6499元。地址改为上海市浦东新区世纪大道1200号3楼，收件人“李静”，预计2025年3月18日送达。发票抬头“星辰科技有限公司”，税号91310115MA1K4B2X7Y。他对花生过敏，赠品不要零食。",
			"客户王小明要求修改订单SF1098827364（MateBook 14，6,499元）的送货地址，由李静在世纪大道1200号收货，2025-03-18送到；发票开给星辰科技有限公司；不要含花生的赠品。",
		},
		bad: []string{
			"用户和助手讨论了几个话题。",
			"用户联系客服修改订单的送货地址和收件人，并提供了发票抬头与税号，还说明了饮食方面的禁忌。客服已经全部登记完毕，用户表示满意，没有其他问题。",
		},
	},
	{
		name: "Japanese, a booking",
		said: []string{
			"田中と申します。9月20日に「さくら会館」でセミナーを開きたいのですが、参加者は45名です。",
			"田中様、ありがとうございます。「さくら会館」の大ホールは2025年9月20日に空いております。料金は88,000円です。",
			"プロジェクターとワイヤレスマイクも借りられますか。予約番号も教えてください。",
			"はい、プロジェクターは5,500円、ワイヤレスマイクは3,300円です。予約番号はSK-20250920-3になります。",
			"請求書は株式会社ミライデザイン宛てで、tanaka@mirai.example.jp に送ってください。電話は03-5555-0142です。",
			"承知しました。株式会社ミライデザイン宛ての請求書を tanaka@mirai.example.jp にお送りします。お支払い期限は2025年10月31日です。",
			"当日の受付は「スタジオ・ハル」の佐藤さんにお願いします。",
			"「スタジオ・ハル」の佐藤様ですね。承りました。",
		},
		good: []string{
			"田中さん（tanaka@mirai.example.jp、03-5555-0142）が2025年9月20日に「さくら会館」大ホールを予約。参加者45名、料金88,000円、プロジェクター5,500円、ワイヤレスマイク3,300円、予約番号SK-20250920-3。請求書は株式会社ミライデザイン宛て、支払期限2025年10月31日。受付は「スタジオ・ハル」の佐藤さん。",
			"田中様のセミナーはさくら会館で開かれ、費用は会場が88000円、機材としてプロジェクターとマイクが付く。予約番号はSK-20250920-3。支払いはミライデザインが10月31日（2025年）までに行い、受付はスタジオ・ハルの佐藤様が担当する。",
		},
		bad: []string{
			"ユーザーとアシスタントはいくつかの話題について話しました。",
			"お客様は会場の予約について問い合わせ、必要な機材を追加し、請求書の送付先と当日の受付の担当者を伝えました。担当者はすべてを承り、期限についても案内しました。",
		},
	},
	{
		name: "Arabic, a clinic",
		said: []string{
			"السلام عليكم، أنا ليلى حداد، رقم ملفي هو MRN-33871 وأريد حجز موعد مع الدكتور سامي.",
			"وعليكم السلام. الملف MRN-33871 موجود. الدكتور سامي متاح يوم ١٥/٠٦/٢٠٢٥ الساعة ١٠:٣٠ في «عيادة النخيل».",
			"مناسب. عندي حساسية من البنسلين وآخذ دواء Metformin 850 مرتين يوميا.",
			"تم التسجيل: حساسية من البنسلين، ودواء Metformin 850. رقم الحجز هو 7729041.",
			"كم تكلفة الزيارة؟ وهاتفي هو +966 50 123 4567.",
			"التكلفة ٣٥٠ ريالا، وتغطي شركة «بوبا العربية» ٨٠٪ منها. سنرسل التأكيد إلى layla.haddad@example.sa.",
		},
		good: []string{
			"ليلى حداد (الملف MRN-33871، الهاتف +966 50 123 4567، layla.haddad@example.sa) حجزت موعدا مع الدكتور سامي في «عيادة النخيل» يوم ١٥/٠٦/٢٠٢٥ الساعة ١٠:٣٠، رقم الحجز 7729041. لديها حساسية من البنسلين وتأخذ Metformin 850 مرتين يوميا. التكلفة ٣٥٠ ريالا تغطي «بوبا العربية» ٨٠٪ منها.",
			"حجزت ليلى حداد موعدا عند الدكتور سامي بتاريخ 15/06/2025 برقم 7729041، وتكلفته 350 ريالا. تعاني من حساسية البنسلين وتتناول metformin.",
		},
		bad: []string{
			"تحدث المستخدم والمساعد عن عدة مواضيع.",
			"تواصلت المستخدمة مع العيادة لحجز موعد عند الطبيب، وذكرت حساسيتها والدواء الذي تأخذه، وسألت عن التكلفة ورقم الحجز، وقد أجاب المساعد عن كل الأسئلة وأكد لها الموعد.",
		},
	},
	{
		name: "English, a program",
		said: []string{
			"I'm writing a proxy in Go with Fiber. How do I stop fasthttp from normalising paths? I keep losing %2F.",
			"Use ctx.Request().RequestURI() and forward it as is; fasthttp keeps the raw bytes there. Setting DisablePathNormalizing on the client helps too.",
			"OK. Now the handler `relay_stream` panics with nil pointer dereference at relay.go:118 after the client disconnects.",
			"Fiber recycles *fiber.Ctx once the handler returns. Copy what you need before SetBodyStreamWriter; the writer runs afterwards.",
			"That fixed it. We decided on SQLite for storage, with WAL, and Redis later for version 2. MaxBodyBytes should be 33554432.",
			"Good choice. In WAL mode set synchronous=NORMAL only if losing the last commits on power failure is fine; otherwise FULL.",
			"We keep FULL. Remind me to write a test for `relay_stream` tomorrow and to ask Priya about the JIRA ticket MN-212.",
			"Noted: a test for relay_stream, and asking Priya about MN-212.",
		},
		good: []string{
			"The user builds a proxy in Go with Fiber. RequestURI() is forwarded raw so that %2F survives. The panic in relay_stream (relay.go:118) came from using *fiber.Ctx after the handler returned and is fixed. Decisions: SQLite with WAL and synchronous FULL, Redis later; MaxBodyBytes 33554432. Open: a test for relay_stream; ask Priya about MN-212.",
			"A Go proxy on Fiber now forwards raw paths and no longer crashes in relay_stream. Storage will be SQLite in WAL mode with full sync. To do: test that function and talk to Priya about ticket MN-212.",
		},
		bad: []string{
			"The user asked several programming questions and the assistant answered them. Some decisions were made about storage and there are a few things left to do tomorrow.",
			"The user and the assistant discussed code.",
		},
	},
}
