"""The grammar of moves in English. Pure."""

import re

from pipeline.routes.sentences import Grammar, rules

_COMMON = (
    "the a and then to of at on in is are turn turns turning past go goes straight through walk walks left right around"
    " camera wearer person they he she you"
)

_WORDS = {
    "side": r"(?P<side>left|right)",
    "a_side": r"(?:left|right)",
    "whose": r"(?:the|my|your|his|her|their|its|our|one's)",
    "count": r"(?P<count>two|three|four|five|[2-5])",
    "times": r"(?:,?\s(?P<count>twice|thrice|(?:two|three|four|five|[2-5])\stimes))?",
    "count_word": r"(?:twice|thrice|(?:two|three|four|five|[2-5])\stimes)",
    "kind": r"(?:sharp|slight|quick|hard|immediate|gentle|wide|soft|tight|full|final|last|first|second|third|fourth|next|"
    r"single|simple|small|further|more|other|90|90-degree|ninety-degree|45-degree)",
    "fill": r"(?:(?:sharp|slight|immediate|direct|gentle|quick|slow|abrupt|final|subsequent|eventual|gradual)(?:ly)?|again|once|"
    r"more|back|then|further|hard|straight|around|round|over|off|out|on|about|approximately|roughly|by|\d+|ninety|"
    r"forty-five|degrees?|°|90°|45°|(?:counter-?|anti-?)?clockwise|in(?=\splace\b)|place|another|time|a|an|first|myself|himself|herself|themselves|itself)",
    "toward": r"(?:(?:to|toward|towards)\s(?:<whose>\s)?)",
    # What may follow a side that is a direction; a noun may not.
    "after": r"(?=\s*$|\s*[^\w\s-]|\s(?:at|by|near|in|into|through|onto|on|around|round|along|past|toward|towards|to|from|"
    r"down|up|after|before|beside|behind|under|over|across|again|once|when|where|as|until|till|next|without|with|"
    r"out|there|here|for|this|because|so|right|immediately|just|inside|outside|off|of(?=\sfloor)|who|which|that|while|(?:is|was)(?=\s(?:taken|made)))\b)",
    "way": r"(?:turn|turning|exit|street|road|corridor|hallway|hall|aisle|path|passage|passageway|fork|branch|way|route|door|"
    r"doorway|opening|junction|stairs|staircase|stairway|stairwell)",
    "turn": r"(?:turn|yaw|veer|swing|rotat|pivot|steer|curv|swerv|swivel|spin|wheel|angl|hook|cut|jog|bend)(?:s|ed|ing|e|es|ting)?"
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

_RULES = rules(
    _WORDS,
    # Places, looks, things: no moves.
    (
        "nothing",
        r"\b(?:on|from|along|off|at)\s(?:both\s)?(?:<whose>\s)?<a_side>\s(?:and|or)\s(?:<whose>\s)?<a_side>\b",
    ),
    ("nothing", r"(?:\b\w+\s)?\b<a_side>\sto\s<a_side>\b"),
    ("nothing", r"\b(?:have|has|had|having)\s(?:a|the|every)\sright\sto\b"),
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
        r"(?:\b(?:<turn>|do|does|did|pull\w*|make|makes|made)(?:\s(?:by|about|around|round|a|the|full|through|completely)){0,3}\s"
        r"180(?!\s?c?m\b)|\b180(?=[- ]?degrees?|\s?°))(?:[- ]?degrees?|\s?°)?(?!\s(?:view|panorama|camera|lens|angle|field))"
        r"(?:\s<fill>){0,2}(?:\s?turn)?(?:\s<toward>?<a_side>)?",
    ),
    ("around", r"\b(?:u[- ]?turn|about[- ]?(?:face|turn)(?:s|d|ed)?|half[- ]turn)\b"),
    (
        "around",
        r"\b(?:turn|spin|swing|rotat|pivot|swivel|wheel|spun|swung)\w*\s(?:(?:all|right|back|completely|fully|the|way|myself|"
        r"himself|herself|themselves|themself|itself|yourself)\s){0,3}(?:(?:around|round)\b(?!\s(?:the|a|an|another|this|that|him|her|them|me|us|it|"
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
    ("side", r"\bturn\s(?:is|was)\s(?:then\s)?(?:a\s|<toward>)?<side>\b<after>"),
    (
        "side",
        r"\b(?:<turn>)\s(?:onto|into|down)\s(?:the|a|an)\s(?:\w+\s){1,3}(?:on|to)\s<whose>\s<side>\b",
    ),
    ("side", r"\b(?:path|way|route)\s(?:leads|led|goes)\s(?:<fill>\s)?<toward><side>\b<after>"),
    (
        "side",
        r"\b(?:tak|took|mak|made|hang|hung|pull|do)\w*\s(?:(?:a|an|another|one|<whose>|<kind>)\s)+<side>(?:-hand(?:er)?)?(?:\s<way>\b|\b<after>)",
    ),
    ("side", r"\b(?:choos|chose|follow)\w*\s(?:(?:the|a|<kind>)\s)+<side>(?:-hand)?\s<way>\b"),
    ("side", r"\b(?:a|an|another)\s(?:<kind>\s)*<side>\b<after>"),
    # Verbs.
    ("side", r"\b(?:<turn>)(?:\s<fill>){0,6}\s<toward><side>(?:(?:-hand)?\sside)?\b<after><times>"),
    ("side", r"\b(?:<turn>)(?:\s<fill>){0,6}\s<side>\b(?!-hand|\s(?:side|hand|of|away)\b)<times>"),
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
        "nothing",
        r"\b(?:people|customers|passengers|others|line|queue)\s(?:waiting|lingering|standing)\b",
    ),
    (
        "stay",
        r"\b(?:paus(?:e|es|ed|ing)(?!\sbutton)|wait(?:s|ed|ing)?\b(?!\s(?:room|area|list|hall|line))|linger(?:s|ed|ing)?|"
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
    ("side", r"^(?:<lead>[:.)]?\s)*<side>(?=\s<count_word>)<times>"),
    ("side", r"^(?:<lead>[:.)]?\s)*(?P<side>left)\b<after>"),
    (
        "side",
        r"^(?:<lead>[:.)]?\s)*(?P<side>right)\b(?=\s*$|\s*[^\w\s-]|\s(?:at|near|toward|towards|around|again|once)\b)",
    ),
    (
        "listed",
        r"^(?:<lead>[:.)]?\s)*(?:to|toward|towards)\s(?:the\s)?<side>(?:\sagain|\sonce\smore)?\s*$",
    ),
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

ENGLISH = Grammar(
    _RULES,
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
    re.compile(r"\b(?:not(?!\sonly)|never|no(?!\.)|without|neither|nor|cannot|nothing|nobody|nowhere|previously|originally)\b|\bhad\s(?:earlier|before)\b|n't\b"),
    re.compile(r"\b(?:avoided|skipped|ignored|(?:not|never|n't)\s(?:taken|made|used|followed))\b"),
    re.compile(r"\b(?:instead\sof|rather\sthan|as\sopposed\sto|avoid\w*|skip\w*|ignor\w*)\s(?:(?!left|right)\w+\s){0,2}$"),
    re.compile(r"\b(?:if|whether|might|could|would(?! say)|perhaps|maybe|possibly|either|unless|about to|wants to|wanted to|tries to|tried to|possible to|option to|says|reads|saying|reading|"
        r"label+ed|pointing|marked)\b|'d\b"),
    re.compile(r"\b(?:is|are|was|were|there|there's|it's|see|sees|seen|visible|has|have|hangs|stands|lies|on)\b"),
    re.compile(
        r"(?:^|[,:]\s*|\b(?:and|while|as|where|when)\s)(?:(?:a|an|the)\s)?(?:(?:another|other|second|third|different)\s"
        r"(?:\w+\s)?(?:person|people|man|men|woman|women|child|pedestrian|customer|car|vehicle|cyclist)|(?<=a\s)(?:car|bus|truck|cyclist|child|dog|cat))\b"
    ),
    frozenset(_COMMON.split()),
)  # fmt: skip
