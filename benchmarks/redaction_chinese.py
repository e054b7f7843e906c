"""Chinese sentences with made-up personal data, marked, for redaction.py: there is no public set of this kind at hand.

How customers write: templates, each filled with drawn phones, ids, addresses, names, order numbers and cards; some lines
hold numbers and places that are nobody's. The rules were mended with TEMPLATES and ADDRESSES (recall 0.888, precision 0.965
before). HELD_OUT, with addresses of its own, was written after that: recall 1.0 but for names, of which 0.075 were found, and
0.75 after more cues were added. So for phones, ids, addresses, cards and orders it is the honest figure, for names it is
none: a name that no cue announces is not found.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from typing import Any

TEMPLATES = (
    "您好，我的手机号是{phone}，收不到验证码",
    "麻烦打{phone}联系我，谢谢",
    "联系电话：{phone}，晚上八点以后方便",
    "换个号码吧，{phone}，原来那个停用了",
    "我是{name}，{phone}，昨天下的单怎么还没发货？",
    "收件人{name}，电话{phone}，地址{address}",
    "姓名：{name}\n电话：{phone}\n地址：{address}",
    "请把地址改成{address}，收件人还是我",
    "我搬家了，新地址是{address}",
    "能寄到{address}吗？运费多少",
    "东西发错了，寄到{address}去了，但我住在{address}",
    "{address}，{name}收，电话{phone}",
    "家住{address}，你们上门修车吗",
    "身份证号{id}，名字{name}，请帮我开发票",
    "我的身份证号码是{id}，实名认证一直失败",
    "报关要身份证：{id}",
    "证件号 {id} ，请核对",
    "我叫{name}，想问一下订单{order}到哪里了",
    "订单号{order}，退款什么时候到账？",
    "单号：{order}，显示已签收可是我没收到",
    "快递单号{order}查不到物流",
    "我用卡号{card}付的款，被扣了两次",
    "银行卡 {card}，退到这张卡可以吗？",
    "发票请发到{email}，抬头是个人",
    "邮箱{email}登录不了，手机{phone}也不行",
    "你好，我是{name}，上周在店里试过车",
    "{name}先生的车修好了吗？请回复{phone}",
    "帮我朋友{name}问一下，他的订单{order}能改地址吗，改到{address}",
)
HELD_OUT = (
    "改一下收货信息：{name}，{phone}，{address}",
    "可以送到我公司吗？{address}，前台代收",
    "这个号码{phone}打给我的是你们吗",
    "我手机{phone}，微信同号",
    "实名信息填错了，身份证应为{id}",
    "用户{name}，证件{id}，申请注销账号",
    "刚才付款的卡是{card}，能退回原卡吗",
    "包裹{order}一直停在中转站",
    "我住{address}，想约周末上门取件",
    "请联系我太太{name}，电话{phone}",
    "收据寄到{email}就行",
    "订单{order}的收货人写错了，应该是{name}",
)
PLAIN_HELD_OUT = (
    "这款头盔有58到62厘米的吗，重量是不是280克？",
    "2025年1月3日到1月10日能送到吗",
    "你们在成都有几家店，离地铁站远吗",
    "买2条内胎加1个打气筒一共是多少，有没有9折",
    "齿比50/34配11-32够爬坡吗",
    "退货7天内，换货15天内，对吧？",
)
PLAIN = (
    "这辆车1299元，打八折以后是多少？",
    "2024年11月12日下的单，今天是第30天，还能退吗？",
    "700x28c的轮胎和700x32c的能互换吗",
    "你们上海和北京的门店几点开门？",
    "满500元免运费，我买了3件一共1280.50元，为什么还收15元？",
    "身高175厘米，腿长82厘米，选54还是56的车架？",
    "请问退货地址是哪里？要自己付运费吗",
    "电池续航80公里，充一次电要4到6小时对吗",
    "你们的电话打不通，客服几点上班？",
    "保修期是2年还是5年？发票丢了怎么办",
    "可以分12期付款吗，利率是多少",
    "我是想买一辆通勤车，预算3000到5000",
    "周一到周五09:00到19:00，周六呢？",
    "换购活动到12月31日截止吗，库存还有200多件？",
)
_SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗"
_GIVEN = (
    "伟",
    "芳",
    "娜",
    "敏",
    "静",
    "丽",
    "强",
    "磊",
    "洋",
    "艳",
    "建国",
    "晓明",
    "雨桐",
    "子涵",
    "思远",
    "佳怡",
    "浩然",
    "秀英",
)
ADDRESSES_HELD_OUT = (
    "山东省青岛市市南区香港中路{n}号{b}号楼{r}室",
    "陕西省西安市雁塔区长安南路{n}号",
    "河南省郑州市金水区东风路{n}号正弘家园{b}号楼{b}单元{r}",
    "广州市天河区体育西路{n}号{r}房",
    "昆明市盘龙区北京路延长线{n}号",
    "南京市鼓楼区汉口西路二段{n}号",
    "安徽省合肥市蜀山区井岗镇十里村{n}号",
    "新北市板橋區文化路一段{n}號{b}樓",
)
ADDRESSES = (
    "广东省深圳市南山区科技园南路{n}号{b}栋{r}室",
    "上海市浦东新区张杨路{n}弄{b}号{r}室",
    "北京市朝阳区建国路{n}号院{b}号楼{r}",
    "浙江省杭州市西湖区文三路{n}号",
    "江苏省苏州市工业园区星湖街{n}号",
    "四川省成都市武侯区人民南路四段{n}号{b}单元{r}",
    "湖北省武汉市洪山区珞喻路{n}号华中花园{b}栋{r}室",
    "重庆市渝北区新牌坊{b}号",
    "天津市和平区南京路{n}号吉利大厦{r}室",
    "香港九龍旺角彌敦道{n}號{b}樓",
    "台北市信義區市府路{n}號{b}樓",
    "福建省泉州市晋江市陈埭镇湖中村{n}号",
)
_AREAS = ("110105", "310115", "440305", "330106", "510107", "420111")
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
KINDS = {
    "phone": "PHONE_NUMBER",
    "id": "ID",
    "address": "STREET_ADDRESS",
    "name": "PERSON",
    "order": "ORDER",
    "card": "CREDIT_CARD",
    "email": "EMAIL_ADDRESS",
}


def sentences(*, held_out: bool = False, fills: int = 10, seed: int = 11) -> list[dict[str, Any]]:
    """The templates, each filled so many times, and the plain ones: lines as in the public set."""
    rng = random.Random(seed + held_out)
    templates, plain, addresses = (HELD_OUT, PLAIN_HELD_OUT, ADDRESSES_HELD_OUT) if held_out else (TEMPLATES, PLAIN, ADDRESSES)
    filled = [_filled(template, rng, addresses=addresses) for template in templates for _ in range(fills)]
    return [*filled, *({"text": text, "spans": []} for text in plain)]


def _filled(template: str, rng: random.Random, *, addresses: Sequence[str]) -> dict[str, Any]:
    text, spans = "", []
    for plain, kind in _parts(template):
        text += plain
        if kind:
            value = _drawn(kind, rng, addresses=addresses)
            spans.append({"entity_type": KINDS[kind], "entity_value": value, "start_position": len(text)})
            text += value
            spans[-1]["end_position"] = len(text)
    return {"text": text, "spans": spans}


def _parts(template: str) -> Iterator[tuple[str, str]]:
    pieces = re.split(r"\{(\w+)\}", template)
    yield from zip(pieces[::2], [*pieces[1::2], ""], strict=True)


def _drawn(kind: str, rng: random.Random, *, addresses: Sequence[str]) -> str:
    def digits(count: int) -> str:
        return "".join(rng.choices("0123456789", k=count))

    if kind == "phone":
        head, middle, tail = f"1{rng.choice('356789')}{digits(1)}", digits(4), digits(4)
        mobile = rng.choice(("{}{}{}", "{} {} {}", "{}-{}-{}", "+86 {}{}{}")).format(head, middle, tail)
        return rng.choice(
            (mobile, mobile, mobile, f"0{rng.choice(('21', '10', '755', '571'))}-6{digits(7)}", f"+852 9{digits(3)} {digits(4)}")
        )
    if kind == "id":
        stem = f"{rng.choice(_AREAS)}{rng.randrange(1950, 2010)}{rng.randrange(1, 13):02}{rng.randrange(1, 29):02}{digits(3)}"
        return stem + "10X98765432"[sum(int(a) * b for a, b in zip(stem, _WEIGHTS, strict=True)) % 11]
    if kind == "address":
        return rng.choice(addresses).format(n=rng.randrange(1, 999), b=rng.randrange(1, 30), r=rng.randrange(101, 2909))
    if kind == "name":
        return rng.choice(_SURNAMES) + rng.choice(_GIVEN)
    if kind == "card":
        return rng.choice(("6222", "6217", "4111")) + rng.choice((" ", "")).join(["", digits(4), digits(4), digits(4)])
    return (
        f"LW{digits(6)}"
        if kind == "order"
        else f"{rng.choice(('wang', 'li.na', 'zhou_88'))}{digits(2)}@{rng.choice(('qq', 'mail'))}.example"
    )
