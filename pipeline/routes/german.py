"""The grammar of moves in German. Pure."""

import re

from pipeline.routes.sentences import Grammar, rules

_COMMON = (
    "der die das und dann dem den am an im in nach zu zum zur vorbei geht gehen biegt abbiegen geradeaus links rechts"
    " umdrehen ist von mit er sie man wegmarke"
)

_WORDS = {
    "side": r"(?P<side>links|rechts)",
    "a_side": r"(?:links|rechts)",
    "word": r"(?!(?:links|rechts|nach)\b)\S+",
    "way": r"(?:abzweig\w*|abbieg\w*|biegung|kurve|\w*treppe|tür|gang|weg|straße|strasse|ausgang|eingang|flur|korridor|tor|gasse|"
    r"durchgang|pfad|abgang)",
    "ended": r"(?:e|en|t|st|te|ten|et|ete|eten|end|ung|ungen)?\b",  # no Drehtür, no Wendeltreppe
    "turn": r"(?:(?:ab|ein)?(?:zu)?(?:bieg|gebog|bog)\w*|(?:zu)?(?:wend|wandt)<ended>|(?:ab|ein|ge)?schwenk\w*|(?:ge|zu)?dreh<ended>|abzweig\w*)",
    "go": r"(?:geh|ging|gegang|lauf|läuf|lief|gelauf|komm|kam|beweg|schreit|spazier|verlass|verläss|tret|tritt|fähr|fahr|weiter|"
    r"zieh|setz|begib|begeb|eil)\w*(?:'s)?",
    "lead": r"(?:dann|danach|gleich|wieder|erst|zuerst|anschließend|zunächst|sofort|nochmals?|noch|einmal|schließlich|zuletzt|er|sie|"
    r"man|ich|wir|wobei|direkt|kurz|darauf|darauffolgend|\d+°?|etwa|ungefähr|ca|um|grad|°|mal|(?:oben|unten)(?=\snach)|nun|jetzt|erneut|wiederum|später|hier|dort|dabei|scharf|leicht|also|"
    r"als|nächstes|gegen|ende|jeweils|und|geradeaus|weiter)",
    "at": r"(?:an|am|bei|beim|hinter|nach|vor|im|in|auf|zu|zum|zur|ab|neben|aus|durch|unter)",
    # Read in one way only, or the time that a clause of prepositions takes would double with each.
    "stands": r"(?:lieg\w*|steh\w*|stand\w*|ist|sind|war\w*|häng\w*|hing\w*|befind\w*|sieht|gibt)",
    "place": r"<at>\s(?>(?:der|dem|den|das|die|einer|einem|einen|etwa|ungefähr|ca)\s)?(?!vorbei|<stands>\b)<word>\s(?:(?!vorbei|<stands>\b|(?:<at>|<lead>)\s)<word>\s){0,4}",
    "count": r"(?P<count>zweimal|dreimal|viermal|zwei\smal|drei\smal)",
    "who": r"(?:er|sie|ich|man|wir|(?:die|der)\s(?:person|träger\w*|frau|mann))",
    "thing": r"(?:den|die|das|einen|eine|ein|seinen|ihren|seine|ihre|sein|ihr)\s(?!person|träger|kamera|frau|mann)",
    "then": r"(?=\s*$|\s*[^\w\s]|\s(?:am|an|beim|bei|in|im|ins|um|durch|ab|hinter|vor|nach|zur|zum|zu|herum|rum|weiter|wieder|auf|ein(?!\s\w)|(?:die|den|das)\s<way>\s(?:hoch|runter|hin\w+|rauf|entlang)|"
    r"aus|raus|rein|hoch|runter|gehen|laufen|fahren|halten|zwischen|hinaus|hinein|hinunter|hinauf|entlang|vorbei|bis|und|über)\b)",
}

_RULES = rules(
    _WORDS,
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
    ("nothing", r"\bnach\s<a_side>\s\w+\s(?:der|ihr|sein|mein)\sblick"),
    (
        "nothing",
        r"\bdreh\w*\s(?:<who>\s)?(?:am|an\sde[rmn])\s(?:\w*knopf|griff|hahn|rad|regler|schalter|schlüssel|lenkrad|kurbel)(?:\s(?:nach\s)?<a_side>)?\b",
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
        r"\b(?:(?:dreh|wend)\w*\s(?:\S+\s){0,5}?)?(?:um\s)?180(?:[- ]?grad|\s?°)(?:[- ](?:drehung|wende))?|\bum\s180\b(?!\s?c?m\b)",
    ),
    (
        "around",
        r"\b(?:umdreh\w*|umzudrehen|umgedreht|umkehr(?:en|t|te)?|umzukehren|kehrtmach\w*|kehrtzumachen|kehrtwend\w*|kehrtgemacht)\b",
    ),
    ("around", r"^(?:(?:<lead>|<who>)\s)*wend(?:et|ete|e|en)(?:\s<who>)?\s*$"),
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
        r"\b(?:hält|halten|haltet|halte|halt|hielt)\s(?:<word>\s){0,3}?(?:sich|dich|euch|uns|mich)\s(?:<word>\s){0,3}?<side>\b|\b(?P<other>links|rechts)\s(?:zu\s)?halten\b",
    ),
    (
        "side",
        r"\b<turn>\s(?:(?!<a_side>\b)\S+\s){0,7}?(?:<count>\s)?(?:nach\s)?<side>\b(?!\s(?:von|vom)\b)",
    ),
    ("side", r"\b(?:<count>\s)?(?:nach\s)?<side>\s(?:<word>\s){0,4}?<turn>\b"),
    ("side", r"\b(?:nimm|nehm|nahm)\w*\s(?=.*\b<way>\b)(?:<word>\s){0,5}?<side>\b"),
    (
        "side",
        r"\b<turn>\s(?:<word>\s){0,2}?in\s(?:die|den|das)\s\S+\s(?:zu|auf|an)\s\w+\s(?P<side>linke|rechte)n\b",
    ),
    (
        "side",
        r"\b<turn>\s(?:<word>\s){0,4}?(?:um|in)\s(?:die|den|das)\s(?P<side>linke|rechte)[ns]?\s(?:ecke|<way>)\b",
    ),
    ("side", r"\b(?:kurve|drehung|wende|bogen|schwenk|biegung|abbiegung)\snach\s<side>\b"),
    ("side", r"\bweg(?P<leads>\sführt(?:\s<word>)?)?\snach\s<side>\b(?(leads)|\sein)"),
    (
        "listed",
        r"^(?:den|die|das)\s(?:erste|zweite|dritte|nächste|letzte)[ns]?\s(?:<way>\s)?<side>\s*$",
    ),
    ("side", r"\b<side>\s(?=.*\b<way>\b)(?:<word>\s){0,4}?(?:zu\s)?nehmen\b"),
    ("side", r"\b<go>\s(?:<word>\s){0,6}?nach\s<side>\b"),
    ("side", r"\bnach\s<side>\s(?:<word>\s){0,4}?<go>\b"),
    (
        "side",
        r"\b<go>\s(?:<word>\s){0,5}?<side>(?=\s*$|\s*[^\w\s]|\s(?:weiter|durch|um|in|ins|hinaus|hinein|zur|zum|ab)\b)(?!.*\bvorbei)",
    ),
    ("side", r"^(?>(?:<lead>\s|<place>)*)(?:<count>\s)?(?:nach\s)?<side>\b<then>(?!.*\bvorbei)"),
    ("same", r"\bund\s(?:nach\s)?<side>\b"),
    ("unread", r"\b<a_side>\b"),
)

GERMAN = Grammar(
    _RULES,
    {"links": "left", "rechts": "right", "linke": "left", "rechte": "right"},
    {"zwei": 2, "drei": 3, "vier": 4, "zweimal": 2, "dreimal": 3, "viermal": 4, "zwei mal": 2, "drei mal": 3},
    r"\bund\b(?!\s(?:nach\s)?(?:links|rechts)(?:\sab)?\s*(?:$|[^\w\s]|(?:und|sind|lieg\w+|steh\w+|häng\w+|befind\w+|sieht)\b))|\bdann\b(?!\sum\s*(?:$|[^\w\s]|und\b))|\b(?:danach|aber|sondern|bevor|während|wobei|bis(?!\szu|\szum|\szur|\san|\sans))\b",
    re.compile(r"link|recht|180|dreh|kehr|wend|stehen|wart|verweil|verharr|pausier|inne|h[aäi]e?lt"),
    re.compile(r"\b(?:ohne|zuvor|ursprünglich)\b"),
    re.compile(r"\b(?:nicht|keine?\w?|niemals|niemand|nie|nirgends|weder)\b"),
    re.compile(r"\b(?:an)?(?:statt|stelle)\s(?:(?!links|rechts)\w+\s){0,2}$"),
    re.compile(r"\b(?:ob|falls|wenn|vielleicht|möglicherweise|könnte\w*|würde\w*|entweder)\b"),
    re.compile(r"\b(?:ist|sind|war|gibt|sieht|sehen|liegt|steht|hängt|befindet|auf)\b"),
    re.compile(
        r"\b(?:(?:eine|die)\s(?:andere|zweite|weitere)\s(?:person|frau)|(?:ein|der)\s(?:andere|zweite|weitere)r?\s"
        r"(?:mann|mensch|passant|kunde)|ein\s(?:anderes\s)?(?:auto|hund|bus|fahrzeug|radfahrer|kind))\b"
    ),
    frozenset(_COMMON.split()),
)  # fmt: skip
