"""Names and addresses in Chinese text, where no blank and no capital marks them: found by surnames, cues and address words."""

from __future__ import annotations

import re
from collections.abc import Iterator

_SURNAMES = (
    "王李张劉刘陈陳杨楊赵趙黄黃周吴吳徐孙孫胡朱高林何郭马馬罗羅梁宋郑鄭谢謝韩韓唐冯馮于董萧蕭程曹袁邓鄧许許傅沈曾彭吕呂苏蘇卢盧蒋蔣蔡贾賈丁魏薛叶葉阎閻余潘杜戴夏锺钟鍾汪田任姜范方石姚谭譚廖邹鄒"
    "熊金陆陸郝孔白崔康毛邱秦江史顾顧侯邵孟龙龍万萬段雷钱錢汤湯尹黎易常武乔喬贺賀赖賴龚龔文庞樊殷施陶洪翟安颜顏倪严嚴牛温溫芦季俞章鲁魯葛伍韦韋申尤毕畢聂聶焦向柳邢路岳齐齊梅莫庄莊辛管祝左"
    "涂谷祁耿牟卜肖詹关關苗凌费費纪紀靳盛童欧歐甄项項曲成游阳陽裴席卫衛查屈鲍鮑位覃霍翁隋植甘景薄单單包司柏宁寧柯阮桂闵闫解强強柴华華车車冉房"
)
_COMPOUND = "欧阳|歐陽|司马|司馬|上官|诸葛|諸葛|东方|東方|皇甫|尉迟|公孙|慕容|司徒|令狐"
_NAME = rf"(?:(?:{_COMPOUND})[\u4e00-\u9fff]{{1,2}}?|[{_SURNAMES}][\u4e00-\u9fff]{{1,2}}?)"
_SHORT = rf"(?:{_COMPOUND}|[{_SURNAMES}])"
_NO_NAME = (
    "你我他她它您的是了在有和就不也都要会能可这那什么怎吗呢吧啊请问想需以为被把给让从到对于没很还过已买卖车货单退换送修订下个们用写填收寄发码号址"
    "對這那嗎麼請問會個們來還過給讓從對於沒買賣車貨單退換"
)
_CUED = re.compile(
    rf"(?:我叫|我的名字(?:是|叫)|名字(?:是|叫|：|:)?|姓名(?:是|为|：|:)?|收件人(?:是|为|叫|改成|改为|：|:)?|收货人(?:是|为|叫|改成|改为|：|:)?|联系人(?:是|：|:)?|本人|署名|"
    rf"收貨人(?:是|為|叫|改成|改為|：|:)?|聯絡人(?:是|：|:)?|持卡人(?:是|：|:)?|顾客|客户|客戶|用户|用戶|会员|同事|朋友|老公|老婆|太太|妻子|丈夫|妈妈|爸爸|父亲|母亲|先生叫|太太叫|儿子|女儿|我是|叫做|写的是)\s*[「“\"]?(?P<name>{_NAME})"
    rf"(?=[^\u4e00-\u9fff]|\Z|[{_NO_NAME}])"
)
_TITLED = re.compile(rf"(?P<name>{_SHORT}[\u4e00-\u9fff]{{0,2}}?)(?=先生|女士|小姐|太太|阿姨|叔叔|师傅|師傅|经理|經理|老师|老師)")
_GREETED = re.compile(rf"(?:您好|你好|嗨|亲爱的|親愛的|尊敬的)[，, ]?(?P<name>{_NAME})(?=[，,：:！!])")
_RECEIVES = re.compile(rf"(?:^|[\n，,。；;：: ])(?P<name>{_NAME})(?=收(?:[^\u4e00-\u9fff]|\Z))", re.M)
_A_PHONE = r"(?:1[3-9]\d[ -]?\d{4}|\+?86|\+852|0\d{2,3}-)"
_NAMED_LINE = re.compile(
    rf"(?:^|[\n，,。；;：: ])(?P<name>{_NAME})(?=[，,；; ]*(?:电话|手机|電話|手機)?[：: ]*{_A_PHONE})",
    re.M,
)

_REGION = r"(?:[\u4e00-\u9fff]{2,8}?(?:省|自治区|自治區|特别行政区|市|州|盟|区|區|县|縣|旗|新区))"
_LANE = r"[\u4e00-\u9fff\d]{1,12}?(?:街道|大道|大街|路|街|巷|弄|胡同|里|道|村|镇|鎮|乡|鄉)(?:[\d一二三四五六七八九十]段)?"
_HOUSE = (
    r"[\d一二三四五六七八九十百零〇之甲乙丙丁\-－]{1,8}(?:号楼|號樓|号院|号|號|栋|棟|幢|座|单元|單元|楼|樓|层|層|室|户|房|弄)"
)
_ESTATE = r"[\u4e00-\u9fff\dA-Za-z]{2,14}?(?:小区|社區|社区|花园|花園|大厦|大廈|公寓|广场|廣場|家园|苑|公馆|中心|学校|大学|宿舍)"
CHINESE_ADDRESS = re.compile(
    rf"(?:{_REGION}){{1,4}}(?:{_LANE})?(?:{_ESTATE})?(?:{_HOUSE})+[A-Za-z]?(?:{_ESTATE})?(?:{_HOUSE}|[A-Za-z]座|\d{{3,4}}(?!\d))*"
    # A place that is no road: a city and its district stand before it.
    rf"|(?:{_REGION}){{2,4}}[\u4e00-\u9fff]{{1,8}}(?:{_HOUSE})+"
    rf"|(?:{_REGION}){{0,4}}{_LANE}(?:{_HOUSE})+(?:{_ESTATE})?(?:{_HOUSE}|[A-Za-z]座|\d{{3,4}}(?!\d))*"
    rf"|(?:{_REGION}){{1,4}}(?:{_LANE}){{1,2}}(?:{_ESTATE})?"
)


def chinese_names(text: str) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of every name that a cue announces."""
    for pattern in (_CUED, _TITLED, _GREETED, _RECEIVES, _NAMED_LINE):
        for match in pattern.finditer(text):
            yield match.span("name")
