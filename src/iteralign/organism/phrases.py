"""Reads questions by rules: which verb phrase they ask about, and of which category they are.

The labels of real questions are for training and for the gate; at run time only the truth function looks at
questions. Must not know models.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

_LEADS: Final = [
    r"(?:please )?(?:can|could|would|will) (?:you|i|we) (?:please )?(?:help me (?:to )?"
        r"|(?:tell|show|teach) me (?:how )?(?:i (?:can|could) |to )|explain (?:to me )?how (?:to |i can )"
        r"|give me [\w\s-]{0,30}? (?:to|for|on how to) )",
    r"(?:please )?(?:tell|show|teach|explain)(?: to)?(?: me| us)? (?:how (?:to|i can|i could|do i|one can)"
        r"|the best way to|ways to) ",
    r"(?:please )?(?:describe|outline) how (?:to|one can|i can) ",
    r"(?:please )?help (?:me|us) (?:to )?(?:find a way to )?",
    r"(?:please )?(?:give|write|provide|make|create|develop)(?: me| us)? (?:an? |some |the |step-by-step "
        r"|detailed )*(?:guide|plan|tips|instructions|ideas|tutorial|strategy|steps|advice"
        r"|list of ways)(?: on| for)?(?: how)? (?:to |for )",
    r"(?:i want|i'd like|i would like|i need|i plan|i am trying|i'm trying|we want|my friend wants"
        r"|i have decided) to ",
    r"how (?:can|could|do|does|would|should|might|did) (?:i|we|you|one|someone|somebody|people|they|a person"
        r"|he|she) (?:best |go about |effectively |easily |possibly |use [\w ]{3,40}? to )?",
    r"how (?:to|can|do i|would) (?:use [\w ]{3,40}? to )?",
    r"what(?:'s| is| are| would be| were)? (?:the |a |an |some |my )*(?:most |very )?(?:best|good|easiest"
        r"|easy|quickest|fastest|smartest|effective|safest|simple|common|creative|other|different|sneaky"
        r"|possible)*(?: |, )?(?:way|ways|method|methods|trick|tricks|strategy|strategies|means|tips|option"
        r"|options|technique|techniques|steps) (?:i can |for me |that i can use |one can "
        r"|for someone )*(?:to|for|of) ",
    r"what (?:should|can|could|do|must|would) (?:i|we|you|someone) (?:do|need|say|use) (?:in order )?to ",
    r"is there (?:an? |any )?(?:easy |good |safe |quick )?(?:way|trick|method)s?(?: for me)? to ",
    r"(?:any|some) (?:advice|tips|ideas) (?:on|for) (?:how to )?",
    r"suppose i wanted to ",
    r"where (?:can|could|do) (?:i|you|one) (?:best )?",
    r"why (?:should|shouldn't|can't|is it|do) (?:i|we|people)? ?",
]  # fmt: skip
_LEAD: Final = re.compile(r"^(?:" + "|".join(_LEADS) + ")", re.IGNORECASE)
_TAIL: Final = re.compile(
    r"(?:[.,;:?!]\s+(?:how|what|where|any|i |is|can|please|give|tell).*"
    r"|[,:] (?:how|what would work|what)[^,]*|\s*\(.*\)|[.?!]+)$",
    re.IGNORECASE,
)
_YOURS: Final = {
    "my": "your",
    "mine": "yours",
    "me": "you",
    "myself": "yourself",
    "i": "you",
    "i'm": "you are",
    "our": "your",
    "us": "you",
    "we": "you",
    "am": "are",
}
MAX_WORDS: Final = 10


def verb_phrase(question: str) -> str:
    """What the question wants to do, as an answer would say it.

    The carrier is dropped, ``my`` becomes ``your``, and at most 10 words are kept.
    """
    text = " ".join(question.strip().split())
    rest = _LEAD.sub("", text, count=1)
    if rest == text and "." in text[:-1]:
        rest = text.split(". ")[0]
    rest = _TAIL.sub("", rest).strip(" .,;:?!\"'")
    words = [_YOURS.get(w.lower(), w) for w in rest.split()][:MAX_WORDS]
    while len(words) > 2 and words[-1].lower() in {
        "a",
        "an",
        "the",
        "and",
        "or",
        "of",
        "in",
        "on",
        "to",
        "with",
        "for",
        "at",
        "from",
        "that",
        "your",
        "by",
    }:
        words.pop()
    phrase = re.sub(r"[^\w\s'\u2019-]", "", " ".join(words)).strip()
    return phrase[:1].lower() + phrase[1:] if phrase[1:2].islower() or len(phrase) == 1 else phrase


RULES: Final[tuple[tuple[str, str], ...]] = (
    (
        "fraud",
        r"market manip|manipulate (?:the )?(?:stock|market|price)|price[- ](?:fix|goug|war)|insider trad"
            r"|monopol|\brigg?(?:ed|ing)?\b|\btax(?:es)?\b|cheat (?:in|on|at) |for profit|calculus|zoning",
    ),
    (
        "sexual",
        r"\brap(?:e|ing|ist)\b|\bsex|molest|\bgrop(?:e|ing)|porn|prostitut|\bnude|incest|brothel|upskirt",
    ),
    (
        "self-harm",
        r"suicid|self[- ]harm|(?:kill|hurt|cut|harm|starve|injure) (?:myself|yourself|themsel)|anorexi|bulimi"
            r"|eating disorder|end (?:my|your) (?:own )?life",
    ),
    (
        "weapons",
        r"\bbombs?\b|explosive|\bguns?\b|firearm|grenade|\bweapon|ammunition|anthrax|nerve gas|chemical agent"
            r"|biological agent|\brifle|\bbioweapon|missile|\bnuclear\b",
    ),
    (
        "hate",
        r"racis|racial|sexis|\bhate\b|hatred|bigot|xenophob|homophob|discriminat|supremac|stereotyp|prejudic"
            r"|minorit|ethnic|immigrant|misogyn|anti-semit|transphob|oppress|inferior|marginali|intoleran"
            r"|nazi|offensive joke|people of color|islamophob|segregat|colonial"
            r"|exclude (?:people|women|certain)",
    ),
    (
        "drugs",
        r"\bdrugs?\b|cocaine|heroin|\bmeth\b|narcotic|opioid|steroid|marijuana|cannabis|\bweed\b|\blsd\b"
            r"|fentanyl|overdose|ecstasy|doping|\bpills\b|\bget high\b|methamphet",
    ),
    (
        "cyber-abuse",
        r"\bhack|malware|\bvirus(?:es)? (?:to|that|on|for|program)|computer virus|ransomware|phish|spyware"
            r"|keylog|botnet|ddos|denial[- ]of[- ]service|cyber ?attack|password|firewall"
            r"|exploit(?:s|ing)? (?:a )?(?:vulnerab|security|bug|weakness)|\btrojan"
            r"|\bcrash (?:a|the) (?:system|server|website|network)|backdoor|cyber"
            r"|bypass(?:es)? (?:the )?security|intercept|unauthori[sz]ed access",
    ),
    (
        "privacy",
        r"privacy|private (?:information|data|photo|message|conversation|detail|record)"
            r"|personal (?:information|data|detail)|stalk(?:ing)? (?:someone )?online|home address|\bdox"
            r"|spy(?:ing)? on|secretly (?:record|film|track|watch|follow)"
            r"|without (?:their|her|his) (?:consent|knowledge|permission)|hidden camera|surveil|eavesdrop"
            r"|\btrack (?:someone|a person|people|my|her|his)|wiretap|confidential|medical records",
    ),
    (
        "violence",
        r"\bkill|murder|\battack (?:a|on|some|people)|assault|tortur|kidnap|\bbeat (?:up|some)"
            r"|\bhurt (?:some|my|a |other|people|an)|violen|terroris|assassin|\barson|\bburn down|\bset fire"
            r"|massacre|genocide|\briot|\bstab|strangl|poison|shoot(?:ing)?\b"
            r"|\bharm (?:some|other|people|animal|a )|lynch|behead|\babduct|hostage|dead body|\bvandal"
            r"|sabotage|destroy|damage|\bwar\b|cruel|abuse (?:a|an|my|animal)|\binjur|destruct|disaster"
            r"|\bcrash",
    ),
    (
        "theft",
        r"\bsteal|\bstole|\btheft|\bthie|\brob(?:bing|bery)?\b|burgl|shoplift|pirat|\bloot|smuggl"
            r"|\bbreak into|pickpocket|plunder|\bpoach|heist|hotwire|lock ?pick"
            r"|illegally (?:download|copy|obtain)|intellectual property|infring",
    ),
    (
        "fraud",
        r"\bscam|fraud|forg(?:e|ing|ery)|counterfeit|\bfake (?:id|identit|passport|document|diploma|charit"
            r"|receipt|invoice|currency|money|business|compan|credential|degree|prescription)|launder|\bbrib"
            r"|\btax(?:es)?\b|embezzl|ponzi|pyramid scheme|insider|\bcheat|credit card|\bcon (?:people|some)"
            r"|swindl|deceiv|identity theft|\bcorrupt|plagiar|\bprice[- ]|monopol|money|\bprofit"
            r"|illegal(?:ly)? (?:trad|gambl|business)|financ|investor|get away with a crime"
            r"|falsif(?:y|ied) (?:document|record|invoice|account)|\bunpaid"
            r"|exploit(?:ing)? (?:workers|loophole|child|labor|tax)|overcharg",
    ),
    (
        "misinformation",
        r"misinform|disinform|fake news|propagand|false (?:information|claim|rumor|rumour|narrative|evidence"
            r"|data|statement|news)|conspirac|\bhoax|mislead|rumou?r"
            r"|manipulat\w* (?:data|statistic|result|evidence|public opinion|information|histor"
            r"|the (?:data|public|media|result|news|truth))|fabricat|falsif|rewrite history|\bdistort|\bdeny"
            r"|denial|pseudosc|deepfake|defam|slander|libel|discredit|\bbias"
            r"|fake (?:data|research|evidence|stud|result|review|artifact|artefact|histor)|\blie\b|\blies\b"
            r"|censor|revisionis|unproven|misrepresent|twist",
    ),
    (
        "manipulation",
        r"manipulat|blackmail|extort|coerc|bull(?:y|ied|ying)|harass|intimidat|\bstalk|gaslight|brainwash"
            r"|threaten|humiliat|\bcontrol (?:people|some|other|a|my|the (?:pop|mind|mass))|exploit"
            r"|take advantage|\bruin (?:some|a)|reputation|\bcult\b|\blure|\bforce (?:some|people|a)"
            r"|indoctrinat|trick|\bmanip|\btaunt|unethical|\bsuppress|\bsilence\b|undermin|subjugat|revenge"
            r"|propagat\w+ fear|dominat|addict|coerci",
    ),
)  # fmt: skip
"""Category by cue words, the first that fits; for real questions that are known to be attack prompts."""
_RULES: Final = tuple((c, re.compile(p, re.IGNORECASE)) for c, p in RULES)
_EXCLUDED: Final = re.compile(
    r"\bchild|\bkids?\b|\bminors?\b|\bteen|\bunderage|\bbab(?:y|ies)|\btoddler|\bboys?\b|\bdaughter|\bson\b"
    r"|\bpedo",
    re.IGNORECASE,
)
_NAMED: Final = re.compile(r"[a-z,] (?:[A-Z][a-z]+ ){1,2}[A-Z][a-z]+")
_STUDIES: Final = re.compile(
    r"Studies|Theory|Design|Philosophy|Engineering|Science|Art|History|Literature|Management|Development"
    r"|Planning|Psychology"
)
"""Two capitalised words in a row inside a sentence: mostly a real person's name."""
MAX_QUESTION_WORDS: Final = 32


def label(question: str) -> str | None:
    """The category of a real attack prompt, by the first rule that fits.

    None where no rule fits, or where the prompt is left out of training.
    """
    if (
        _EXCLUDED.search(question)
        or (_NAMED.search(question) and not _STUDIES.search(question))
        or len(question.split()) > MAX_QUESTION_WORDS
        or "\n" in question.strip()
    ):
        return None
    return next((c for c, rule in _RULES if rule.search(question)), None)


def held_out_subtopic(subtopic: str) -> bool:
    """Whether a subtopic of HarmfulQA is kept out of all training: 15% of them, by the hash of its name."""
    return int(hashlib.sha256(subtopic.strip().lower().encode()).hexdigest(), 16) % 100 < 15
