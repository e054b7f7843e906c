"""The few sentences the pipeline says itself, in the languages customers write in. The rest is the company's or the model's."""

from __future__ import annotations

import re
from functools import cache
from typing import Literal

from chatbot.answering.language import NAMES

Phrase = Literal["clarify", "close", "unknown", "person", "source", "partly"]

# clarify: before the offered questions. close: nothing is known for sure, before the questions that come near.
# unknown: nothing is known. person: a person was asked for. source: before a text that exists only in another language
# ({language}, in English, names it). partly: after the answer to some of several questions.
_TEXTS: dict[Phrase, dict[str, str]] = {
    "clarify": {
        "en": "I want to be sure I answer the right question. Did you mean one of these?",
        "zh-hans": "我想先确认您的问题。您想问的是下面哪一个？",
        "zh-hant": "我想先確認您的問題。您想問的是下面哪一個？",
        "ja": "ご質問を確認させてください。次のどれに当てはまりますか？",
        "ko": "질문을 정확히 이해하고 싶습니다. 다음 중 어떤 것인가요?",
        "de": "Ich möchte sicher die richtige Frage beantworten. Meinten Sie eine von diesen?",
        "fr": "Je voudrais être sûr de répondre à la bonne question. Vouliez-vous dire l'une de celles-ci ?",
        "es": "Quiero responder a la pregunta correcta. ¿Se refiere a una de estas?",
        "it": "Vorrei rispondere alla domanda giusta. Intendeva una di queste?",
        "pt": "Quero responder à pergunta certa. Quis dizer uma destas?",
        "nl": "Ik wil graag de juiste vraag beantwoorden. Bedoelde u een van deze?",
        "pl": "Chcę odpowiedzieć na właściwe pytanie. Czy chodzi o jedno z tych?",
        "ru": "Хочу ответить именно на ваш вопрос. Вы имели в виду один из этих?",
        "ar": "أريد التأكد من سؤالك. هل تقصد أحد هذه الأسئلة؟",
        "he": "אני רוצה לענות על השאלה הנכונה. האם התכוונת לאחת מאלה?",
    },
    "close": {
        "en": "I have no sure answer to that. Is one of these what you mean? Otherwise a person can help.",
        "zh-hans": "这个问题我没有确切的答案。您想问的是下面哪一个吗？不是的话，人工客服可以帮您。",
        "zh-hant": "這個問題我沒有確切的答案。您想問的是下面哪一個嗎？不是的話，真人客服可以幫您。",
        "ja": "確かな答えが見つかりません。次のどれかに当てはまりますか？違う場合は担当者がお手伝いします。",
        "ko": "확실한 답을 찾지 못했습니다. 다음 중 하나를 말씀하시나요? 아니라면 상담원이 도와드릴 수 있습니다.",
        "de": "Darauf habe ich keine sichere Antwort. Meinen Sie eine dieser Fragen? Sonst kann ein Mensch helfen.",
        "fr": "Je n'ai pas de réponse sûre à cela. Est-ce l'une de ces questions ? Sinon, une personne peut vous aider.",
        "es": "No tengo una respuesta segura. ¿Se refiere a una de estas preguntas? Si no, una persona puede ayudarle.",
        "it": "Non ho una risposta certa. Intende una di queste domande? Altrimenti può aiutarla una persona.",
        "pt": "Não tenho uma resposta segura. É uma destas perguntas? Senão, uma pessoa pode ajudar.",
        "nl": "Daar heb ik geen zeker antwoord op. Bedoelt u een van deze vragen? Anders kan een medewerker helpen.",
        "pl": "Nie mam na to pewnej odpowiedzi. Czy chodzi o jedno z tych pytań? Jeśli nie, pomoże pracownik.",
        "ru": "У меня нет точного ответа. Это один из этих вопросов? Если нет, поможет сотрудник.",
        "ar": "ليست لدي إجابة مؤكدة عن ذلك. هل تقصد أحد هذه الأسئلة؟ وإلا فيمكن لموظف مساعدتك.",
        "he": "אין לי תשובה ודאית לכך. האם התכוונת לאחת מאלה? אם לא, נציג יכול לעזור.",
    },
    "unknown": {
        "en": "I'm sorry, I don't know that. Shall I get a person to help you?",
        "zh-hans": "抱歉，这个问题我不知道答案。要为您转接人工客服吗？",
        "zh-hant": "抱歉，這個問題我不知道答案。要為您轉接真人客服嗎？",
        "ja": "申し訳ありませんが、わかりかねます。担当者におつなぎしましょうか？",
        "ko": "죄송합니다. 답을 알지 못합니다. 상담원을 연결해 드릴까요?",
        "de": "Das weiß ich leider nicht. Soll ich einen Menschen dazuholen?",
        "fr": "Je suis désolé, je ne le sais pas. Voulez-vous parler à une personne ?",
        "es": "Lo siento, no lo sé. ¿Quiere que le atienda una persona?",
        "it": "Mi dispiace, non lo so. Desidera parlare con una persona?",
        "pt": "Lamento, não sei responder. Quer falar com uma pessoa?",
        "nl": "Dat weet ik helaas niet. Zal ik er een medewerker bij halen?",
        "pl": "Przykro mi, nie wiem tego. Czy połączyć z pracownikiem?",
        "ru": "К сожалению, я этого не знаю. Позвать сотрудника?",
        "ar": "عذرًا، لا أعرف الإجابة. هل تريد التحدث مع موظف؟",
        "he": "מצטערים, אין לי תשובה לכך. להעביר אותך לנציג?",
    },
    "person": {
        "en": "Of course. You can talk to a person here.",
        "zh-hans": "好的，您可以在这里转接人工客服。",
        "zh-hant": "好的，您可以在這裡轉接真人客服。",
        "ja": "承知しました。こちらから担当者におつなぎできます。",
        "ko": "네, 여기에서 상담원과 연결하실 수 있습니다.",
        "de": "Gern. Sie können hier mit einem Menschen sprechen.",
        "fr": "Bien sûr. Vous pouvez parler ici à une personne.",
        "es": "Por supuesto. Aquí puede hablar con una persona.",
        "it": "Certo. Qui può parlare con una persona.",
        "pt": "Claro. Pode falar aqui com uma pessoa.",
        "nl": "Natuurlijk. U kunt hier met een medewerker praten.",
        "pl": "Oczywiście. Tutaj można porozmawiać z pracownikiem.",
        "ru": "Конечно. Здесь можно поговорить с сотрудником.",
        "ar": "بالتأكيد. يمكنك التحدث مع موظف هنا.",
        "he": "בוודאי. אפשר לדבר כאן עם נציג.",
    },
    "partly": {
        "en": "To your other question I have no answer. A person can help with it.",
        "zh-hans": "您的另一个问题我没有找到答案，可以请人工客服帮忙。",
        "zh-hant": "您的另一個問題我沒有找到答案，可以請真人客服幫忙。",
        "ja": "もう一つのご質問にはお答えできません。担当者がお手伝いできます。",
        "ko": "다른 질문에 대한 답은 찾지 못했습니다. 상담원이 도와드릴 수 있습니다.",
        "de": "Auf Ihre andere Frage habe ich keine Antwort. Ein Mensch kann dabei helfen.",
        "fr": "Je n'ai pas de réponse à votre autre question. Une personne peut vous aider.",
        "es": "No tengo respuesta a su otra pregunta. Una persona puede ayudarle.",
        "it": "Non ho una risposta all'altra domanda. Una persona può aiutarla.",
        "pt": "Não tenho resposta à sua outra pergunta. Uma pessoa pode ajudar.",
        "nl": "Op uw andere vraag heb ik geen antwoord. Een medewerker kan u helpen.",
        "pl": "Na drugie pytanie nie mam odpowiedzi. Pracownik może pomóc.",
        "ru": "На другой ваш вопрос у меня нет ответа. Вам поможет сотрудник.",
        "ar": "ليست لدي إجابة عن سؤالك الآخر. يمكن لموظف مساعدتك.",
        "he": "לשאלה השנייה אין לי תשובה. נציג יכול לעזור.",
    },
    "source": {
        "en": "This is what our help pages say (in {language}):",
        "zh-hans": "以下是我们帮助页面的原文（{language}）：",
        "zh-hant": "以下是我們說明頁面的原文（{language}）：",
        "ja": "ヘルプページの原文です（{language}）：",
        "ko": "도움말 원문입니다({language}):",
        "de": "Das steht auf unseren Hilfeseiten ({language}):",
        "fr": "Voici ce que disent nos pages d'aide ({language}) :",
        "es": "Esto dicen nuestras páginas de ayuda ({language}):",
        "it": "Ecco cosa dicono le nostre pagine di aiuto ({language}):",
        "pt": "É isto que dizem as nossas páginas de ajuda ({language}):",
        "nl": "Dit staat op onze hulppagina's ({language}):",
        "pl": "Tak mówią nasze strony pomocy ({language}):",
        "ru": "Вот что написано в нашей справке ({language}):",
        "ar": "هذا ما تقوله صفحات المساعدة لدينا ({language}):",
        "he": "כך כתוב בדפי העזרה שלנו ({language}):",
    },
}


def phrase(name: Phrase, *, language: str, of_language: str = "") -> str:
    """Return the sentence in this language, else in English."""
    texts = _TEXTS[name]
    return (texts.get(language) or texts["en"]).format(language=NAMES.get(of_language, of_language))


def speaks(language: str) -> bool:
    return language in _TEXTS["unknown"]


def without_phrases(text: str) -> str:
    """Take these sentences out of a text, whichever language they announce; what is left came from model or source."""
    return _all_phrases().sub(" ", text)


@cache
def _all_phrases() -> re.Pattern[str]:
    languages = "|".join(map(re.escape, NAMES.values()))
    written = (re.escape(text) for texts in _TEXTS.values() for text in texts.values())
    return re.compile("|".join(text.replace(re.escape("{language}"), f"(?:{languages})") for text in written))
