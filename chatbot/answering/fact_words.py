"""The words facts are written with: currencies, units, months, weekdays. Data only; a new language is a new line here."""

# ruff: noqa: E501, SIM905 (tables of words: one line a row)
from __future__ import annotations

# Written form -> ISO code; "/" where the sign stands for several.
_DOLLARS = "USD/CAD/AUD/SGD/HKD/NZD/TWD/MXN"
CURRENCIES: dict[str, str] = {
    "$": _DOLLARS, "us$": "USD", "ca$": "CAD", "c$": "CAD", "a$": "AUD", "au$": "AUD", "hk$": "HKD", "s$": "SGD", "sg$": "SGD",
    "nz$": "NZD", "nt$": "TWD", "mx$": "MXN", "r$": "BRL", "€": "EUR", "£": "GBP", "¥": "CNY/JPY", "rmb¥": "CNY", "₹": "INR", "₩": "KRW",
    "₽": "RUB", "฿": "THB", "₫": "VND", "₱": "PHP", "₪": "ILS", "₺": "TRY", "₴": "UAH", "zł": "PLN", "kč": "CZK", "kr": "SEK/NOK/DKK",
    "kr.": "SEK/NOK/DKK", "rs": "INR/PKR/LKR", "rs.": "INR/PKR/LKR", "rp": "IDR", "rp.": "IDR", "rm": "MYR", "fr.": "CHF",
    **{code.lower(): code for code in ("USD EUR GBP CNY JPY INR KRW RUB PLN CZK SEK NOK DKK CHF CAD AUD SGD HKD NZD BRL MXN AED "
                                       "TWD THB VND PHP MYR IDR ILS UAH ZAR HUF RON BGN SAR QAR KWD EGP NGN KES").split()},
    "rmb": "CNY", "dollars": _DOLLARS, "dollar": _DOLLARS, "dólares": _DOLLARS, "euros": "EUR",
    "euro": "EUR", "pounds": "GBP", "pound": "GBP", "yuan": "CNY", "yen": "JPY", "francs": "CHF", "cents": "cent", "cent": "cent",
    "元": "CNY", "块钱": "CNY", "块": "CNY", "塊": "CNY", "人民币": "CNY", "人民幣": "CNY", "美元": "USD", "美金": "USD", "欧元": "EUR",
    "歐元": "EUR", "英镑": "GBP", "英鎊": "GBP", "日元": "JPY", "日圆": "JPY", "円": "JPY", "港币": "HKD", "港元": "HKD", "加元": "CAD", "澳元": "AUD", "新元": "SGD", "新币": "SGD", "新幣": "SGD", "坡币": "SGD", "新台币": "TWD",
    "新臺幣": "TWD", "台币": "TWD", "台幣": "TWD", "泰铢": "THB", "令吉": "MYR", "卢布": "RUB", "韩元": "KRW",
    "瑞士法郎": "CHF", "유로": "EUR", "달러": "USD", "евро": "EUR", "يورو": "EUR", "اليورو": "EUR", "דולר": "USD",
}  # fmt: skip

# Written form -> (factor, base unit); business days count as days, because translations drop the word.
UNITS: dict[str, tuple[float, str]] = {
    written: (factor, base)
    for factor, base, words in (
        (1, "s", "second seconds sec secs sekunden secondes segundos 秒 秒钟 秒鐘"),
        (60, "s", "minute minutes min mins minuten minutos minuti 分钟 分鐘 分"),
        (3600, "s", "hour hours hr hrs h stunde stunden heure heures hora horas ore uur 小时 小時 个小时 個小時 钟头 時間"),
        (86400, "s", "day days tag tage tagen werktag werktage werktagen jour jours día días dias dia giorni giorno dagen 天 日 工作日 "
                     "个工作日 個工作日 营业日 営業日 дней дня يوم أيام ימים"),
        (604800, "s", "week weeks woche wochen semaine semaines semana semanas settimane settimana weken 周 週 星期 个星期 個星期 "
                      "礼拜 週間 недели недель أسابيع שבועות"),
        (1, "month", "month months monat monate monaten mois mes meses mesi maanden 个月 個月 ヶ月 か月 カ月 месяцев месяца أشهر חודשים"),
        (12, "month", "year years yr yrs jahr jahre jahren ans année années año años anos anno anni jaar 年 岁 歲 歳 세 лет года سنوات سنة שנים"),
        (1, "g", "g gram grams gramm 克"),
        (1000, "g", "kg kgs kilo kilos kilogram kilograms 公斤 千克"),
        (1, "mm", "mm 毫米"), (10, "mm", "cm 厘米"), (1000, "mm", "m meter meters metre metres 米"), (1e6, "mm", "km 公里"),
        (1, "ml", "ml 毫升"), (1000, "ml", "l liter liters litre litres 升"),
        (1, "mb", "mb"), (1000, "mb", "gb"), (1e6, "mb", "tb"), (1, "lb", "lb lbs"), (1, "inch", "inch inches 寸 吋 英寸 インチ"), (1, "w", "w watt watts 瓦"),
    )
    for written in words.split()
}  # fmt: skip

MONTHS: dict[str, int] = {
    word: number
    for number, words in enumerate(
        (
            "january jan januar janvier enero janeiro gennaio", "february feb februar février febrero fevereiro febbraio",
            "march mar märz mars marzo março", "april apr avril abril aprile", "may mai mayo maio maggio",
            "june jun juni juin junio junho giugno", "july jul juli juillet julio julho luglio", "august aug août agosto",
            "september sept sep septembre septiembre setembro settembre", "october oct oktober okt octobre octubre outubro ottobre",
            "november nov novembre noviembre novembro", "december dec dezember dez décembre diciembre dezembro dicembre",
        ),
        start=1,
    )
    for word in words.split()
}  # fmt: skip

# Monday is 0. In Chinese the numeral has become a digit by the time this is read.
WEEKDAYS: dict[str, int] = {
    word: number
    for number, words in enumerate(
        (
            "monday mondays mon montag lundi lunes lunedì segunda-feira 周一 周1 星期一 星期1 礼拜一 月曜日 월요일 понедельник الاثنين",
            "tuesday tuesdays tue tues dienstag mardi martes martedì terça-feira 周二 周2 星期二 星期2 礼拜二 火曜日 화요일 вторник الثلاثاء",
            "wednesday wednesdays wed mittwoch mercredi miércoles mercoledì quarta-feira 周三 周3 星期三 星期3 礼拜三 水曜日 수요일 среда الأربعاء",
            "thursday thursdays thu thurs donnerstag jeudi jueves giovedì quinta-feira 周四 周4 星期四 星期4 礼拜四 木曜日 목요일 четверг الخميس",
            "friday fridays fri freitag vendredi viernes venerdì sexta-feira 周五 周5 星期五 星期5 礼拜五 金曜日 금요일 пятница الجمعة",
            "saturday saturdays sat samstag samedi sábado sabato 周六 周6 星期六 星期6 礼拜六 土曜日 토요일 суббота السبت",
            "sunday sundays sun sonntag dimanche domingo domenica 周日 周天 星期日 星期天 礼拜天 日曜日 일요일 воскресенье الأحد",
        )
    )
    for word in words.split()
}  # fmt: skip

# Ends of bare names that are read as links ("shop.example.com"); every two-letter one but those that end common words.
TOP_LEVEL_DOMAINS = (
    "com org net info biz shop store online app dev io ai co me tv example test eu uk de fr es it nl be at ch pl cz se no dk fi pt ie "
    "us ca mx br ar cl au nz cn jp kr in hk tw sg ru ua tr gr il ae sa za xyz site cloud tech support help email link click page live"
).split()
