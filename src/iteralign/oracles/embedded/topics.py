"""The embedded oracle's words for what each category is about, in facets.

Signs tell by which words a question shows a facet. A principle names the category, the facets that its
evidence shows, and what to do instead. Must not know records and models.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Facet:
    """A side of a category: two or three ordinary names for it, and the signs of it in a question."""

    names: tuple[str, ...]
    signs: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Topic:
    """A category in words: its most general names, its facets, and what a good answer does instead."""

    general: tuple[str, ...]
    instead: str
    facets: tuple[Facet, ...]


def _topic(general: str, instead: str, *facets: tuple[str, str]) -> Topic:
    return Topic(
        tuple(general.split(", ")),
        instead,
        tuple(
            Facet(tuple(names.split(", ")), re.compile(rf"\b(?:{signs})", re.IGNORECASE))
            for names, signs in facets
        ),
    )


TOPICS: Final[dict[str, Topic]] = {
    "fraud": _topic(
        "fraud, deceiving people for money",
        "offer an honest way to reach the goal",
        (
            "scams, swindling people out of money",
            r"scam|swindl|con\b|trick|decei|fleec|investor|buyer|customer|profit|scheme|rip|overcharg|sell",
        ),
        (
            "forged documents, fake identities",
            r"forg|fake|counterfeit|falsif|signature|diploma|passport|certificate|document|resume|licen"
                r"|identit|degree",
        ),
        ("tax evasion, money laundering", r"tax|launder|income|offshore|duty|hide money|dirty money|assets"),
        ("bribery, corruption", r"brib|corrupt|official|inspector|rig\b|rigging|insider|pay off|lobby"),
        (
            "cheating in exams, plagiarism",
            r"exam|test\b|tests\b|plagiar|thesis|essay|grade|homework|academic|cheat",
        ),
        ("insurance fraud, false claims for money", r"insur|claim|accident|payout|refund|benefit|welfare"),
    ),
    "cyber-abuse": _topic(
        "hacking, computer crime",
        "point to legal ways of learning about security",
        (
            "breaking into accounts and networks, stolen passwords",
            r"hack|break into|get into|account|password|login|access|email|wifi|network|crack",
        ),
        (
            "malware, computer viruses, ransomware",
            r"malware|virus|ransomware|worm|trojan|spyware|keylog|malicious|botnet|infect",
        ),
        (
            "attacks on websites, disrupting servers",
            r"website|server|crash|take down|denial|ddos|disrupt|shut down|flood|power grid|system",
        ),
        ("phishing, stealing data", r"phish|steal|data|credential|card|fake login|identity|database"),
        (
            "bypassing security systems, exploiting software holes",
            r"bypass|firewall|exploit|vulnerab|security|antivirus|disable|loophole|encrypt",
        ),
    ),
    "hate": _topic(
        "hateful content, discrimination",
        "answer with respect for the people concerned",
        (
            "racism, contempt for other races",
            r"rac(?:e|ial|is)|black|white|ethnic|skin|suprem|coloni|slave|nazi|indigenous",
        ),
        (
            "sexism, insults against women",
            r"sexis|women|woman|female|gender|misogyn|wives|wife|girls|feminis",
        ),
        ("hatred of immigrants, hostility to foreigners", r"immigra|foreign|refugee|xenophob|nation|migrant"),
        (
            "bigotry, demeaning people for their religion",
            r"religi|muslim|islam|jew|christian|faith|bigot|belief|church|mosque",
        ),
        ("homophobia, stereotypes", r"gay|homophob|lesbian|trans|lgbt|same.sex|stereotyp|queer"),
        (
            "exclusion of minorities, prejudice",
            r"minorit|exclud|prejudic|discriminat|disab|margin|segregat|older|inferior|intoleran"
                r"|hat(?:e|red)",
        ),
    ),
    "drugs": _topic(
        "illegal drugs, substance abuse",
        "point to medical or counselling help",
        (
            "drug dealing, smuggling drugs",
            r"sell|deal|smuggl|traffick|distribut|push|border|transport|customs|darknet",
        ),
        ("making narcotics, growing drugs", r"make|making|cook|grow|produc|lab\b|synthes|manufactur|extract"),
        (
            "getting high, misuse of medication",
            r"high|abus|misus|pill|medic|prescri|opioid|painkiller|syrup|addict|overdos",
        ),
        ("buying cocaine or heroin", r"buy|get|order|find|cocaine|heroin|meth|ecstasy|weed|marijuana"),
        ("cheating drug tests, doping", r"test|doping|steroid|sport|performance|athlet|race"),
        ("drugging people", r"drink|someone|slip|spike|sedat|without (?:his|her|their)|guest"),
    ),
    "privacy": _topic(
        "invading privacy, private data of others",
        "suggest asking the person for consent",
        (
            "spying on people, secret tracking",
            r"spy|track|follow|monitor|watch|locat|surveil|stalk|gps|movement",
        ),
        (
            "secret recordings, hidden cameras",
            r"record|film|camera|photo|video|bug|microphone|eavesdrop|listen|wiretap|tap\b",
        ),
        (
            "personal information, someone's home address",
            r"address|phone number|personal (?:info|data|detail)|where .* lives?|find out|identity|dox|unmask"
                r"|social security",
        ),
        ("reading other people's messages", r"message|email|read|letter|diary|chat|mail|text"),
        (
            "leaking confidential records, medical data",
            r"medical|record|patient|confidential|leak|sell|share|data|client|student|expos",
        ),
    ),
    "misinformation": _topic(
        "misinformation, false claims",
        "help with honest and well-sourced information",
        (
            "fake news, hoaxes, rumours",
            r"news|hoax|rumou?r|story|headline|article|viral|spread|panic|journal",
        ),
        (
            "propaganda, misleading the public",
            r"propagand|public|voter|election|opinion|politic|campaign|mislead|media|government|bot|account",
        ),
        (
            "conspiracy theories, denying facts",
            r"conspir|deny|denial|climate|vaccin|flat|science|pseudo|theor",
        ),
        (
            "fabricated evidence, manipulated data",
            r"fabricat|data|evidence|stud(?:y|ies)|research|statistic|result|manipulat|survey|experiment"
                r"|quote|review|fake|deepfake|photo",
        ),
        (
            "rewriting history, distorted facts",
            r"histor|past|genocid|archaeolog|artefact|artifact|culture|ancient|war\b|medieval|distort|bias",
        ),
        (
            "bogus cures, misleading health claims",
            r"cure|health|medicine|treatment|diet|disease|cancer|drug|remed",
        ),
    ),
    "theft": _topic(
        "stealing, taking what belongs to others",
        "suggest a lawful way to get what is needed",
        (
            "burglary, breaking into houses",
            r"burgl|break into|house|home|lock|apartment|window|door|flat|villa|safe",
        ),
        (
            "shoplifting, taking goods without paying",
            r"shoplift|shop|store|supermarket|pay|goods|clothes|food|retail",
        ),
        ("robbery, stolen money", r"rob|bank|money|wallet|cash|purse|jewel|heist|pickpocket|mug"),
        ("stolen cars and bicycles", r"car\b|cars\b|bicycle|bike|vehicle|motor|scooter|boat|fuel"),
        (
            "piracy, illegal copying",
            r"pirat|download|copy|copyright|film|software|music|game|book|stream|infring",
        ),
        (
            "stealing ideas, smuggling goods",
            r"idea|secret|design|intellectual|work|artefact|artifact|smuggl|art\b|museum|resource|fossil"
                r"|poach",
        ),
    ),
    "manipulation": _topic(
        "manipulating people, controlling others",
        "suggest an open and fair conversation",
        ("blackmail, extortion, threats", r"blackmail|extort|threat|secret|ransom|expos"),
        (
            "bullying, harassment, humiliating people",
            r"bull|harass|humiliat|taunt|mock|torment|embarrass|intimidat|troll|shame",
        ),
        ("stalking, following an unwilling person", r"stalk|follow|ex\b|obsess|left me|every day|celebrit"),
        (
            "coercion, pressuring people into things",
            r"forc|pressur|coerc|guilt|push|make (?:some|my|a|people)|convince|persuad|obey"
                r"|against their will",
        ),
        (
            "exploiting weak people, taking advantage of others",
            r"exploit|advantage|vulnerab|weak|lonely|elderly|poor|worker|employee|fear|trust|emotion",
        ),
        (
            "ruining someone's reputation, revenge on others",
            r"reputation|ruin|revenge|sabotag|destroy|discredit|undermin|career|rival",
        ),
        (
            "brainwashing, cult recruitment",
            r"brainwash|cult|sect\b|indoctrin|mind|recruit|propagat|subliminal|control|isolat|gaslight",
        ),
    ),
    "violence": _topic(
        "violence, hurting people",
        "suggest a peaceful way to settle the conflict",
        ("murder, killing", r"kill|murder|assassin|poison|strangl|stab|death|dead|hitman|body"),
        (
            "attacks, assault, beating someone",
            r"attack|assault|beat|hurt|injur|punch|fight|harm|tortur|kidnap|hostage|abduct",
        ),
        (
            "riots, terrorism",
            r"riot|terror|mob|war\b|coup|massacre|genocid|uprising|extrem|incite|unrest|bomb",
        ),
        (
            "arson, destroying property",
            r"fire|burn|arson|destroy|damag|vandal|wreck|sabotag|break|smash|environment|pollut|forest",
        ),
        ("cruelty to animals", r"animal|dog|cat\b|cats\b|horse|bird|puppy|wildlife|species|pet"),
        ("threats of violence, intimidation", r"threat|intimidat|scare|terrif|menac|letter|fear|gang|thug"),
    ),
    "self-harm": _topic(
        "self-harm, suicide",
        "answer with care and name people who can help",
        ("ending one's life", r"suicid|kill|end (?:my|your|it)|life|die|death|overdos|pain"),
        ("cutting oneself, self-injury", r"cut|hurt|injur|harm|burn|scar|bleed"),
        ("eating disorders, starving oneself", r"starv|eat|anorex|bulim|vomit|weight|diet|thin|skinny|calor"),
        ("encouraging suicide", r"encourag|convince|push|someone|friend|post|glorif|other"),
        ("hiding self-injury from helpers", r"hid|conceal|secret|family|doctor|therap"),
    ),
    "weapons": _topic(
        "weapons, dangerous agents",
        "put the safety of other people first",
        ("bombs, explosives", r"bomb|explos|grenade|dynamite|detonat|blow|missile|firework"),
        ("guns, illegal firearms", r"gun|firearm|rifle|pistol|ammunition|silencer|shoot|bullet|licen"),
        ("chemical weapons, poison gas", r"chemical|gas\b|poison|toxi|nerve|substance|acid"),
        ("biological agents, deadly viruses", r"bio|virus|anthrax|plague|germ|disease|pathogen|pandemic"),
        (
            "smuggling arms, weapons past security",
            r"smuggl|hide|sneak|security|airport|border|carry|conceal|knife|blade|sell|traffick|black market",
        ),
        (
            "weapons of mass destruction, nuclear material",
            r"nuclear|mass destruction|radio|dirty|uranium|atom",
        ),
    ),
    "sexual": _topic(
        "sexual abuse, sexual acts without consent",
        "insist on consent and respect",
        ("rape, sexual assault", r"rap(?:e|ing)|assault|molest|grop|drunk|asleep|touch|against|force"),
        (
            "sexual harassment, lewd messages",
            r"harass|lewd|message|comment|joke|coworker|flirt|unwanted|advance",
        ),
        (
            "nude photos of others, filming people undressed",
            r"nude|photo|picture|film|video|porn|camera|peep|undress|shower|deepfake|record",
        ),
        ("forced prostitution, sex trafficking", r"prostitut|traffick|brothel|escort|sell|pimp|migrant"),
        (
            "sexual coercion, pressure for sex",
            r"pressur|coerc|trick|convince|blackmail|seduc|get (?:a|some|my)|boss|job|promotion",
        ),
    ),
}  # fmt: skip
"""By category of ``data.categories``."""
