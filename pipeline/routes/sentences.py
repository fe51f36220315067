"""The grammar of moves in English and German: which words state a turn or a stay, and which only name a side. Pure.

A rule is a pattern over one clause and what it means. In a clause, the rule that matches first counts, and of
rules that match at the same place the earlier one. A side that no rule reads is reported, never guessed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pipeline.routes.rows import Move

_WORDS = re.compile(r"(?<!\?P)<(\w+)>")

Meaning = Literal["side", "around", "stay", "nothing", "unread", "same", "listed"]
"""What a match means: a turn to its group `side`, a move, no move, or something that can't be told.

`same` is a turn after another turn (the second side of "left and right"), `listed` one in a sentence that hasn't
described a place so far; otherwise neither can be told."""


@dataclass(frozen=True)
class Rule:
    """A pattern and its meaning; its groups `side` and `count`, if it has them, say which side and how often."""

    meaning: Meaning
    pattern: re.Pattern[str]


@dataclass(frozen=True)
class Grammar:
    """One language: its rules, words that separate clauses, and what denies or doubts a statement.

    `signs` are in every clause that a rule can match, so other clauses needn't be tried. `places` are words of sentences that describe where something is, `others` of those about somebody else. `denied_anywhere` are negations that may also follow what they deny; `instead` denies only what comes next.
    """

    rules: tuple[Rule, ...]
    sides: Mapping[str, Move]
    counts: Mapping[str, int]
    clauses: str
    signs: re.Pattern[str]
    denied: re.Pattern[str]
    denied_anywhere: re.Pattern[str]
    instead: re.Pattern[str]
    doubted: re.Pattern[str]
    places: re.Pattern[str]
    others: re.Pattern[str]
    common: frozenset[str]


def _rules(words: Mapping[str, str], *rules: tuple[Meaning, str]) -> tuple[Rule, ...]:
    """Return rules whose patterns may use each of `words` as <name>."""
    return tuple(Rule(meaning, re.compile(_filled(text, words))) for meaning, text in rules)


def _filled(text: str, words: Mapping[str, str]) -> str:
    while _WORDS.search(text):
        text = _WORDS.sub(lambda name: words[name[1]], text)
    return text


_COMMON_ENGLISH = (
    "the a and then to of at on in is are turn turns turning past go goes straight through walk walks left right around"
    " camera wearer person they he she you"
)
_COMMON_GERMAN = (
    "der die das und dann dem den am an im in nach zu zum zur vorbei geht gehen biegt abbiegen geradeaus links rechts"
    " umdrehen ist von mit er sie man wegmarke"
)

# ---- English -------------------------------------------------------------------------------------

_ENGLISH = {
    "side": r"(?P<side>left|right)",
    "a_side": r"(?:left|right)",
    "whose": r"(?:the|my|your|his|her|their|its|our|one's)",
    "count": r"(?P<count>two|three|four|five|[2-5])",
    "times": r"(?:\s(?P<count>twice|thrice|(?:two|three|four|five|[2-5])\stimes))?",
    "kind": r"(?:sharp|slight|quick|hard|immediate|gentle|wide|soft|tight|full|final|last|first|second|third|fourth|next|"
    r"single|simple|small|further|more|other|90|90-degree|ninety-degree|45-degree)",
    "fill": r"(?:(?:sharp|slight|immediate|direct|gentle|quick|slow|abrupt|final|subsequent|eventual|gradual)(?:ly)?|again|once|"
    r"more|back|then|further|hard|straight|around|round|over|off|out|on|about|approximately|roughly|by|\d+|ninety|"
    r"forty-five|degrees?|°|90°|45°|in(?=\splace\b)|place|another|time|a|an|first|myself|himself|herself|themselves|itself)",
    "toward": r"(?:(?:to|toward|towards)\s(?:<whose>\s)?)",
    # What may follow a side that is a direction; a noun may not.
    "after": r"(?=\s*$|\s*[^\w\s-]|\s(?:at|by|near|in|into|through|onto|on|around|round|along|past|toward|towards|to|from|"
    r"down|up|after|before|beside|behind|under|over|across|again|once|when|where|as|until|till|next|without|with|"
    r"out|there|here|for|this|because|so|right|immediately|just|inside|outside|off|of(?=\sfloor)|who|which|that|while)\b)",
    "way": r"(?:turn|turning|exit|street|road|corridor|hallway|hall|aisle|path|passage|passageway|fork|branch|way|route|door|"
    r"doorway|opening|junction|stairs|staircase|stairway|stairwell)",
    "turn": r"(?:turn|veer|swing|rotat|pivot|steer|curv|swerv|swivel|spin|wheel|angl|hook|cut|jog|bend)(?:s|ed|ing|e|es|ting)?"
    r"|swung|spun|bent|bear|bears|bore|bearing",
    "go": r"(?:go|goes|went|going|gone|(?:head|proceed|walk|mov|continu|exit|step|branch|return|travel|advanc|"
    r"emerg|navigat|carr)(?:s|ed|ing|e|es|y|ies|ied|ping|ped)?|come|comes|came|coming|run|runs|ran|running|"
    r"keep|keeps|kept|keeping|stay|stays|stayed|staying|leave|leaves|leaving|take|takes|taking|took|make|makes|making|made|"
    r"mak(?:e|es|ing)\s<whose>\sway|made\s<whose>\sway)",
    "lead": r"(?:first|second|third|fourth|fifth|next|finally|again|then|now|lastly|last|another|immediately|\d+|this|time|after|"
    r"that|once|more|step|sharp|slight|hard|just|so|quickly|directly|afterwards|afterward|later|subsequently|soon|"
    r"eventually|and|turns?|turn:|also|straight)",
    "no_noun": r"(?:ahead|away|up|past|back|there|here|now|next|beside|behind|as|where|when|opposite|between|about|enough|"
    r"angles?|in\sfront)",
}

_ENGLISH_RULES = _rules(
    _ENGLISH,
    # Places, looks, things: no moves.
    (
        "nothing",
        r"\b(?:on|from|along|off|at)\s(?:both\s)?(?:<whose>\s)?<a_side>\s(?:and|or)\s(?:<whose>\s)?<a_side>\b",
    ),
    ("nothing", r"(?:\b\w+\s)?\b<a_side>\sto\s<a_side>\b"),
    ("nothing", r"\bneither\s(?:<whose>\s)?<a_side>\snor\s(?:<whose>\s)?<a_side>\b"),
    (
        "side",
        r"\b(?:take|takes|taking|took)\s(?:the|a|your)\s(?:<kind>\s)?<way>\s(?:on|to)\s<whose>\s<side>\b",
    ),
    (
        "nothing",
        r"\b(?:on|from|along|off|at|in|with|against)\s(?:(?:<whose>|both|either)\s)?(?:(?:far|upper|lower|top|bottom|"
        r"immediate|very|extreme|other)\s)?<a_side>(?:-hand)?\b",
    ),
    ("nothing", r"\b<toward>?<a_side>(?:-hand)?\s(?:side|of(?!\sfloor))\b"),
    (
        "nothing",
        r"\b(?:look|glanc|gaz|peek|peer|star|point|reach|wav|lean|nod|tilt|scan)(?:s|ed|ing|e|es)?\s"
        r"(?:(?!turn|go|head)\S+\s){0,3}?<a_side>\b",
    ),
    (
        "nothing",
        r"\b(?:turn|rotat|mov|swing|tilt)\w*\s(?:<whose>|a)\s(?:head|gaze|face|eyes|hand|wrist|page|key|handle|knob|tap|"
        r"wheel|light|dial|lid)\s(?:\w+\s){0,2}?<toward>?<a_side>\b",
    ),
    ("unread", r"\b<a_side>\s(?:or|/)\s(?:<toward>)?<a_side>\b"),
    (
        "unread",
        r"\b(?:<turn>)(?:\s<fill>){0,4}\s(?:<toward>)?<a_side>\sor\s(?:<toward>)?<a_side>\b",
    ),
    ("unread", r"\b(?:<turn>)(?:\s\w+){0,3}\s\d+\so'clock\b"),
    # Turning around.
    (
        "around",
        r"\b(?:(?:<turn>)(?:\s(?:by|about|around|round|a|the|full|through|completely)){0,3}\s)?180(?:[- ]?degrees?|°)?(?:\s<fill>){0,2}(?:\s?turn)?(?:\s<toward>?<a_side>)?\b",
    ),
    ("around", r"\b(?:u[- ]?turn|about[- ]?(?:face|turn)|half[- ]turn)\b"),
    (
        "around",
        r"\b(?:turn|spin|swing|rotat|pivot|swivel|wheel|spun|swung)\w*\s(?:(?:all|right|back|completely|fully|the|way|myself|"
        r"himself|herself|themselves|themself|itself|yourself)\s){0,3}(?:(?:around|round)\b(?!\s(?:the|a|an|another|this|that|"
        r"<whose>|<a_side>|to\s<whose>\s<a_side>)\b)|about(?=\s*$))(?:\sto\sface\sthe\s(?:other|opposite)\s(?:way|direction))?",
    ),
    (
        "around",
        r"\b(?:doubl\w+\sback|turn\w*\s(?:to\sface\s)?(?:the\s)?(?:other|opposite)\s(?:way|direction)|"
        r"fac\w+\s(?:the\s)?(?:other|opposite)\s(?:way|direction)|revers\w+\s(?:<whose>\s)?direction)\b",
    ),
    ("around", r"\bturn(?:s|ed|ing)?\sback(?=\s*$|\s(?:along\s)?the\s(?:same\s)?way\b)"),
    # Turns as nouns.
    (
        "side",
        r"\b<count>\s(?:(?:<kind>|consecutive|more)\s)*<side>(?:-hand(?:ed)?)?\s(?:turns|bends|curves)\b",
    ),
    ("side", r"\b<count>\s(?:(?:<kind>|consecutive|more)\s)*(?P<side>left|right)s\b"),
    ("nothing", r"(?:\b(?:the|a)\s)?\b<a_side>[- ]turn\s(?:lane|sign|signal|arrow)"),
    (
        "side",
        r"(?:\b(?:a|an|another|one|the|<whose>)\s)?(?:\b<kind>\s)*\b<side>(?:-hand(?:ed)?)?[- ](?:turn|bend|curve|hook|rotation|swerve)\b",
    ),
    ("side", r"\b(?:turn|bend|curve)\s<toward><side>\b<after>"),
    ("side", r"\b(?:path|way|route)\s(?:leads|led|goes)\s(?:<fill>\s)?<toward><side>\b<after>"),
    (
        "side",
        r"\b(?:tak|took|mak|made|hang|hung|pull|do)\w*\s(?:(?:a|an|another|one|<whose>|<kind>)\s)+<side>(?:-hand)?(?:\s<way>\b|\b<after>)",
    ),
    ("side", r"\b(?:choos|chose|follow)\w*\s(?:(?:the|a|<kind>)\s)+<side>(?:-hand)?\s<way>\b"),
    ("side", r"\b(?:a|an|another)\s(?:<kind>\s)*<side>\b<after>"),
    # Verbs.
    ("side", r"\b(?:<turn>)(?:\s<fill>){0,6}\s<toward><side>\b<after><times>"),
    ("side", r"\b(?:<turn>)(?:\s<fill>){0,6}\s<side>\b(?!-hand|\s(?:side|hand|of)\b)<times>"),
    (
        "side",
        r"\b(?:round|turn|around)\w*\s(?:the|a|another)\scorner(?:\s\w+){0,2}?\s(?:<toward>|on\sthe\s)?<side>\b",
    ),
    ("nothing", r"\b(?:<go>)(?:\s<fill>){0,4}\sright\s<no_noun>\b"),
    (
        "unread",
        r"\b(?:<go>)(?:\s<fill>){0,4}\sright\s(?:through|along|by|over|down|off|across|out|on|into|in|onto|after|before|to)\b",
    ),
    ("side", r"\b(?:<go>)(?:\s<fill>){0,6}\s<toward>?<side>\b<after><times>"),
    (
        "stay",
        r"\b(?:stand|stay|remain|stood|keep|kept)(?:s|ed|ing)?\s(?:\w+ly\s)?(?:still|in\splace|put|there|standing|stationary|"
        r"where\s(?:he|she|they|it|you)\s\w+)\b",
    ),
    (
        "stay",
        r"\b(?:paus(?:e|es|ed|ing)(?!\sbutton)|wait(?:s|ed|ing)?(?!\s(?:room|area|list|hall|line))|linger(?:s|ed|ing)?|"
        r"(?:stop|halt)(?:s|ped|ping|ed|ing)?\s(?:briefly|for\sa\s|for\s(?:some|several|\w+\sseconds)|a\smoment|momentarily))",
    ),
    ("unread", r"\b(?:is|are|was|were)\sleft\s*$"),
    # "left" as a verb or what remains, "right" as an adverb or a judgement.
    (
        "nothing",
        r"\b(?:he|she|it|they|we|i|who|wearer|person|man|woman|has|have|had|having|was|were|is|are|be|been|being|just|"
        r"already|get|gets)\sleft\b",
    ),
    (
        "nothing",
        r"\bleft\s(?:the|a|an|his|her|their|its|my|our|your|it|him|them|behind|over|off|alone|open|unlocked)\b",
    ),
    ("nothing", r"(?:\b(?:is|are|was|all|quite|yes|not)\s|'s\s)right(?:$|[^\w\s]|\s(?!turn|at\b))"),
    ("nothing", r"\bright\s<no_noun>\b"),
    # A clause that is nothing but a side.
    ("side", r"^(?:<lead>[:.)]?\s)*(?P<side>left)\b<after>"),
    (
        "side",
        r"^(?:<lead>[:.)]?\s)*(?P<side>right)\b(?=\s*$|\s*[^\w\s-]|\s(?:at|near|toward|towards|around|again|once)\b)",
    ),
    ("listed", r"^(?:<lead>[:.)]?\s)*(?:to|toward|towards)\s(?:the\s)?<side>(?:\sagain|\sonce\smore)?\s*$"),
    ("listed", r"^<side>(?=\sand\s<a_side>\s*$)"),
    ("listed", r"^the\s(?:<kind>\s)+<side>\b<after>"),
    (
        "side",
        r"^(?:<lead>[:.)]?\s)*(?:at|after|past|near|by|from)\s(?:<whose>|a|an)\s(?:(?!on|to|from|in)\w+\s){1,3}<side>\s*$",
    ),
    ("same", r"\b(?:and|&)\s(?:<toward>)?<side>\b<after>"),
    ("nothing", r"\bto\s(?:my|your|his|her|their|its|our)\s<a_side>\b"),
    (
        "nothing",
        r"\b(?:is|are|was|were|lies|stands|sits|hangs|seen|visible|located)\s(?:\S+\s){0,2}?to\sthe\s<a_side>\b",
    ),
    (
        "nothing",
        r"\b(?:<whose>|a|an|this|that|each|every|one|upper|lower|far|with|both)\s<a_side>(?:-hand)?\s\w+",
    ),
    ("unread", r"\b<a_side>(?:s|ward|wards)?\b"),
)

# ---- German --------------------------------------------------------------------------------------

_GERMAN = {
    "side": r"(?P<side>links|rechts)",
    "a_side": r"(?:links|rechts)",
    "word": r"(?!(?:links|rechts|nach)\b)\S+",
    "way": r"(?:abzweig\w*|abbieg\w*|biegung|kurve|treppe|tür|gang|weg|straße|strasse|ausgang|eingang|flur|korridor|tor|gasse|"
    r"durchgang|pfad|abgang)",
    "turn": r"(?:(?:ab|ein)?(?:zu)?(?:bieg|gebog|bog)\w*|(?:zu)?(?:wend|wandt)\w*|(?:ab|ein|ge)?schwenk\w*|(?:ge|zu)?dreh\w*|abzweig\w*)",
    "go": r"(?:geh|ging|gegang|lauf|läuf|lief|gelauf|komm|kam|beweg|schreit|spazier|verlass|verläss|tret|tritt|fähr|fahr|weiter|"
    r"zieh|setz|begib|begeb|eil)\w*",
    "lead": r"(?:dann|danach|gleich|wieder|erst|zuerst|anschließend|zunächst|sofort|nochmals?|noch|einmal|schließlich|zuletzt|er|sie|"
    r"man|ich|wir|wobei|direkt|kurz|darauf|darauffolgend|\d+|nun|jetzt|erneut|wiederum|später|hier|dort|dabei|scharf|leicht|also|"
    r"als|nächstes|gegen|ende|jeweils|und|geradeaus|weiter)",
    "at": r"(?:an|am|bei|beim|hinter|nach|vor|im|in|auf|zu|zum|zur|ab|neben|aus|durch|unter)",
    # Read in one way only, or the time that a clause of prepositions takes would double with each.
    "place": r"<at>\s(?>(?:der|dem|den|das|die|einer|einem|einen)\s)?(?:(?!vorbei|(?:<at>|<lead>)\s)<word>\s){1,3}",
    "count": r"(?P<count>zweimal|dreimal|viermal|zwei\smal|drei\smal)",
    "who": r"(?:er|sie|ich|man|wir|(?:die|der)\s(?:person|träger\w*|frau|mann))",
    "thing": r"(?:den|die|das|einen|eine|ein|seinen|ihren|seine|ihre|sein|ihr)\s(?!person|träger|kamera|frau|mann)",
    "then": r"(?=\s*$|\s*[^\w\s]|\s(?:am|an|beim|bei|in|im|ins|um|durch|ab|hinter|vor|nach|zur|zum|zu|herum|rum|weiter|wieder|auf|ein|"
    r"aus|raus|rein|hoch|runter|gehen|laufen|fahren|halten|zwischen|hinaus|hinein|hinunter|hinauf|entlang|vorbei|bis|und|über)\b)",
}

_GERMAN_RULES = _rules(
    _GERMAN,
    (
        "side",
        r"\b(?:nimm|nehm|nahm|mach)\w*\s(?:\S+\s){0,4}?(?P<side>linke|rechte)[nrsm]?\s(?:<way>|schwenkung|drehung)\b",
    ),
    (
        "nothing",
        r"\b(?:linke[nrsm]?|rechte[nrsm]?|linkerhand|rechterhand|linksseitig|rechtsseitig)\b",
    ),
    ("nothing", r"\b(?:weder)\s(?:\S+\s)?<a_side>\snoch\s(?:\S+\s)?<a_side>\b"),
    ("unread", r"\b<turn>\s(?:<word>\s){0,6}?(?:nach\s)?<a_side>\soder\s(?:nach\s)?<a_side>\b"),
    ("unread", r"\b<a_side>\soder\s(?:nach\s)?<a_side>\b"),
    (
        "nothing",
        r"\b(?:nach\s)?<a_side>\s(?:von|vom|davon|daneben|oben|unten|vorne|hinten|liegen|neben)\b",
    ),
    (
        "nothing",
        r"\b(?:nach\s)?<a_side>\s(?:und\s<a_side>\s)?(?:lieg|steh|stand|ist|sind|war|häng|befind|sieht|sehen|gibt|erschein|taucht|kommt?\sein)\w*",
    ),
    (
        "nothing",
        r"^(?:der|die|das)\s(?:nach\s)?<a_side>\s(?:abzweig|abgeh|führ)\w*",
    ),
    (
        "side",
        r"\b(?:bin|ist|sind|war\w*)\s(?:(?!<a_side>\b)\S+\s){0,6}?<side>\s(?:(?!<a_side>\b)\S+\s){0,4}?\w*(?:gegangen|gelaufen|gebogen|gefahren)\b",
    ),
    (
        "nothing",
        r"\b(?:lieg|steht|stehen|stand|ist|sind|war|häng|befind|sieht|gibt|erschein)\w*\s(?:<word>\s){0,4}?<a_side>\b",
    ),
    ("nothing", r"\bvon\s<a_side>\b"),
    ("nothing", r"\b<a_side>\s(?:am|an|beim|bei|vom)\s(?:\S+\s){1,4}?vorbei\w*"),
    ("nothing", r"\b(?:vorbei\w*)\s(?:<word>\s){0,3}?<a_side>\sliegt"),
    (
        "nothing",
        r"\b(?:schau|blick|guck|seh|sieh|zeig|greif|neig)\w*\s(?:<word>\s){0,3}?(?:nach\s)?<a_side>\b",
    ),
    (
        "nothing",
        r"\b(?:dreh|wend|schwenk)\w*\s(?:(?:<who>)\s)?<thing>(?:(?!sich)\S+\s){1,4}?(?:um|auf|zu|ab|an|(?:nach\s)?<a_side>)\b(?!\s(?:die|eine)\secke)",
    ),
    (
        "unread",
        r"\b(?:er|sie|ich|man|wir|person|trägerin|träger)\s(?:dreh|wend|schwenk)\w*\sdie\skamera\s"
        r"(?:\S+\s){0,3}?<a_side>\b",
    ),
    # Turning around.
    (
        "around",
        r"\b(?:(?:dreh|wend)\w*\s(?:\S+\s){0,5}?)?(?:um\s)?180[- ]?(?:grad|°)?(?:[- ](?:drehung|wende))?",
    ),
    (
        "around",
        r"\b(?:umdreh\w*|umzudrehen|umgedreht|umkehr(?:en|t|te)?|umzukehren|kehrtmach\w*|kehrtzumachen|kehrtwend\w*|kehrtgemacht)\b",
    ),
    ("around", r"\bmach\w*\s(?:\S+\s){0,4}?kehrt\b"),
    ("around", r"\b(?:kehr|dreh|wend)\w*\s(?:<word>\s){0,5}?um(?=\s*$|\s*[^\w\s])"),
    (
        "stay",
        r"\b(?:bleib|blieb)\w*\s(?:\S+\s){0,6}?stehen\b|\bstehen\s?(?:zu\s)?(?:ge)?(?:bleib|blieb)\w*|"
        r"\b(?:wart(?:et|en|e|ete)|verweil\w*|verharr\w*|pausier\w*|(?:hält|halte|halten|hielt)\s(?:\S+\s){0,4}?inne)\b|"
        r"\b(?:hält|halten|halte|hielt)\s(?:\S+\s){0,5}?(?:kurz|moment|weile|sekunden)\s(?:\S+\s)?an\b",
    ),
    # Turns.
    (
        "side",
        r"\b(?:(?P<count>zwei|drei|vier)\s(?:\S+\s)?)?<side>(?:abbieg\w*|kurven?|drehung(?:en)?|schwenks?|bogen|knick|biegung(?:en)?)\b",
    ),
    ("side", r"\b<side>(?:herum|rum)\b|\b(?P<other>links|rechts)\s(?:herum|rum)\b"),
    (
        "side",
        r"\b(?:hält|halten|halte|hielt)\s(?:<word>\s){0,3}?sich\s(?:<word>\s){0,3}?<side>\b|\b(?P<other>links|rechts)\s(?:zu\s)?halten\b",
    ),
    ("side", r"\b<turn>\s(?:<word>\s){0,6}?(?:<count>\s)?(?:nach\s)?<side>\b(?!\s(?:von|vom)\b)"),
    ("side", r"\b(?:<count>\s)?(?:nach\s)?<side>\s(?:<word>\s){0,4}?<turn>\b"),
    ("side", r"\b(?:nimm|nehm|nahm)\w*\s(?=.*\b<way>\b)(?:<word>\s){0,5}?<side>\b"),
    (
        "side",
        r"\b<turn>\s(?:<word>\s){0,4}?(?:um|in)\s(?:die|den|das)\s(?P<side>linke|rechte)[ns]?\s(?:ecke|<way>)\b",
    ),
    ("side", r"\b(?:kurve|drehung|wende|bogen|schwenk|biegung|abbiegung)\snach\s<side>\b"),
    ("side", r"\bweg(?P<leads>\sführt(?:\s<word>)?)?\snach\s<side>\b(?(leads)|\sein)"),
    ("listed", r"^(?:den|die|das)\s(?:erste|zweite|dritte|nächste|letzte)[ns]?\s<way>\s<side>\s*$"),
    ("side", r"\b<side>\s(?=.*\b<way>\b)(?:<word>\s){0,4}?(?:zu\s)?nehmen\b"),
    ("side", r"\b<go>\s(?:<word>\s){0,6}?nach\s<side>\b"),
    ("side", r"\bnach\s<side>\s(?:<word>\s){0,4}?<go>\b"),
    (
        "side",
        r"\b<go>\s(?:<word>\s){0,5}?<side>(?=\s*$|\s*[^\w\s]|\s(?:weiter|durch|um|in|ins|hinaus|hinein|zur|zum|ab)\b)(?!.*\bvorbei)",
    ),
    ("side", r"^(?>(?:<lead>\s|<place>)*)(?:nach\s)?<side>\b<then>(?!.*\bvorbei)"),
    ("same", r"\bund\s(?:nach\s)?<side>\b"),
    ("unread", r"\b<a_side>\b"),
)

GRAMMARS: Mapping[str, Grammar] = {
    "en": Grammar(
        _ENGLISH_RULES,
        {"left": "left", "right": "right"},
        {
            **{word: count for count, word in enumerate(("two", "three", "four", "five"), 2)},
            **{str(count): count for count in range(2, 6)},
            **{"twice": 2, "thrice": 3},
        },
        r"\b(?:and\sthen|then|but|before(?=\s\w+ing\b)|while|followed\sby|whereupon|so\sthat)\b"
        r"|\b(?:and|&)\b(?!\s(?:(?:to|toward|towards)\s)?(?:the\s)?(?:left|right)\b(?!\s(?:at|turn)))",
        re.compile(
            r"left|right|round|180|turn|doubl|fac|revers|stand|sta?y|remain|stood|keep|kept|paus|wait|linger|stop|halt|clock"
        ),
        re.compile(r"\b(?:not(?!\sonly)|never|no(?!\.)|without|neither|nor|cannot|nothing|nowhere|previously|originally)\b|\bhad\s(?:earlier|before)\b|n't\b"),
        re.compile(r"(?!)"),
        re.compile(r"\b(?:instead\sof|rather\sthan|as\sopposed\sto)\s(?:(?!left|right)\w+\s){0,2}$"),
        re.compile(r"\b(?:if|whether|might|could|would|perhaps|maybe|possibly|either|unless)\b"),
        re.compile(r"\b(?:is|are|was|were|there|there's|it's|see|sees|seen|visible|has|have|hangs|stands|lies|on)\b"),
        re.compile(
            r"(?:^|[,:]\s*|\b(?:and|while|as|where|when)\s)(?:(?:a|an|the)\s)?(?:(?:another|other|second|third|different)\s"
            r"(?:\w+\s)?(?:person|people|man|men|woman|women|child|pedestrian|customer|car|vehicle|cyclist)|(?<=a\s)(?:car|bus|dog|cat))\b"
        ),
        frozenset(_COMMON_ENGLISH.split()),
    ),
    "de": Grammar(
        _GERMAN_RULES,
        {"links": "left", "rechts": "right", "linke": "left", "rechte": "right"},
        {"zwei": 2, "drei": 3, "vier": 4, "zweimal": 2, "dreimal": 3, "viermal": 4, "zwei mal": 2, "drei mal": 3},
        r"\bund\b(?!\s(?:nach\s)?(?:links|rechts)(?:\sab)?\s*(?:$|[^\w\s]|(?:und|sind|lieg\w+|steh\w+|häng\w+|befind\w+|sieht)\b))|\b(?:dann|danach|aber|sondern|bevor|während|wobei|bis(?!\szu|\szum|\szur|\san|\sans))\b",
        re.compile(r"link|recht|180|dreh|kehr|wend|stehen|wart|verweil|verharr|pausier|inne|h[aäi]e?lt"),
        re.compile(r"\b(?:ohne|zuvor|ursprünglich)\b"),
        re.compile(r"\b(?:nicht|keine?\w?|niemals|nie|nirgends|weder)\b"),
        re.compile(r"\b(?:an)?(?:statt|stelle)\s(?:(?!links|rechts)\w+\s){0,2}$"),
        re.compile(r"\b(?:ob|falls|wenn|vielleicht|möglicherweise|könnte\w*|würde\w*|entweder)\b"),
        re.compile(r"\b(?:ist|sind|war|gibt|sieht|sehen|liegt|steht|hängt|befindet|auf)\b"),
        re.compile(
            r"\b(?:(?:eine|die)\s(?:andere|zweite|weitere)\s(?:person|frau)|(?:ein|der)\s(?:andere|zweite|weitere)r?\s"
            r"(?:mann|mensch|passant|kunde)|ein\s(?:anderes\s)?(?:auto|hund|bus|fahrzeug))\b"
        ),
        frozenset(_COMMON_GERMAN.split()),
    ),
}  # fmt: skip
