# ruff: noqa: E501
"""Questions that the embedded oracle is trained on beside the published sets: patterns of ours, benign,
benign in bad company, and bad.

``[a|b]`` stands for one of the alternatives. Nothing here says how anything harmful is done. Used in training
only; imports nothing of ours.
"""

from __future__ import annotations

from typing import Final

FIELDS: Final = (
    "mathematics", "algebra", "geometry", "statistics", "physics", "chemistry", "biology", "astronomy", "geology", "geography", "ecology", "economics", "finance",
    "accounting", "marketing", "management", "philosophy", "ethics", "logic", "history", "archaeology", "linguistics", "literature", "poetry", "translation",
    "psychology", "sociology", "anthropology", "medicine", "nursing", "public health", "nutrition", "law", "political science", "education", "teaching",
    "computer science", "machine learning", "databases", "engineering", "robotics", "music theory", "art history", "drama", "architecture", "journalism",
    "probability theory", "metaphysics", "cultural studies", "religious studies", "film studies", "e-learning", "optics", "thermodynamics", "genetics", "botany",
    "zoology", "meteorology", "operations research", "human resources", "supply chain planning", "negotiation", "calculus", "number theory", "quantum mechanics",
)  # fmt: skip

BAD: Final = (
    "fraud", "scams", "tax evasion", "money laundering", "bribery", "corruption", "forgery", "counterfeit money", "plagiarism", "cheating in exams", "insider trading",
    "hacking", "phishing", "malware", "ransomware", "computer viruses", "data breaches", "password theft", "cyber attacks", "spyware", "identity theft",
    "racism", "sexism", "hate speech", "discrimination", "prejudice", "hate crimes", "stereotypes", "antisemitism", "homophobia", "apartheid", "slavery",
    "drug abuse", "drug trafficking", "addiction", "cocaine", "heroin", "opioids", "alcoholism", "doping", "overdoses", "drunk driving",
    "privacy violations", "surveillance", "stalking", "doxxing", "hidden cameras", "wiretapping", "data leaks",
    "fake news", "propaganda", "conspiracy theories", "misinformation", "censorship", "deepfakes", "election interference", "pseudoscience", "hoaxes",
    "theft", "burglary", "robbery", "shoplifting", "piracy", "smuggling", "pickpockets", "art theft", "poaching",
    "blackmail", "bullying", "cyberbullying", "harassment", "manipulation", "gaslighting", "coercion", "cults", "extortion", "emotional abuse",
    "violence", "murder", "terrorism", "genocide", "war crimes", "torture", "arson", "kidnapping", "riots", "assassinations", "serial killers", "lynching",
    "domestic violence", "gang violence", "animal cruelty", "vandalism", "mass shootings", "self-harm", "suicide", "eating disorders", "anorexia", "depression",
    "guns", "gun violence", "bombs", "land mines", "nuclear weapons", "chemical weapons", "biological weapons", "explosives", "poison", "arms trafficking",
    "sexual assault", "sexual harassment", "rape", "revenge porn", "human trafficking", "prostitution", "pornography",
)  # fmt: skip

ABOUT: Final = (
    "[What is|What does the law say about|What counts as|What exactly is] {bad}?", "[Define|Explain|Describe] [the term|the concept of|what is meant by] {bad}.",
    "What is the difference between {bad} and {bad2}?", "How [common|frequent|widespread] is {bad} [today|in Europe|in big cities|among adults]?",
    "What [causes|leads to|drives|motivates] {bad}?", "Why [is|are|was] {bad} [illegal|harmful|so common|hard to stop|bad for society|punished|a crime]?",
    "Why do [people|some people|criminals|companies|governments] [turn to|engage in|fall for|fear] {bad}?",
    "What are the [signs|effects|consequences|costs|risks|dangers|penalties|causes|legal consequences|long-term effects] of {bad}?",
    "How [can|do|should|could] [we|schools|companies|parents|communities|governments|the police|banks|hospitals|cities|I|teachers|a business] [prevent|reduce|fight|stop|combat|tackle|detect|recognise|address|end|discourage|spot|counter] {bad}?",
    "How [can|do] I [protect|defend|shield] [myself|my family|my company|my data|my parents|our school|our customers] [from|against] {bad}?",
    "[Give me|List|Name|Suggest] [five|some|ten|a few] [ways|steps|measures|strategies|tips] to [prevent|reduce|stop|fight|avoid|raise awareness of] {bad}.",
    "[Where|How|To whom] [can|do|should] I report {bad} [at work|at school|online|in my town|safely|]?",
    "[What|Which] [help|support|services|therapy|hotlines|legal aid] [is|are] [there|available] for [victims|survivors|witnesses] of {bad}?",
    "[Write|Draft|Create|Develop|Prepare] [a policy|a campaign|a poster|an essay|a workshop|a lesson|a leaflet|a training course|a law|a speech|a plan|a program] [against|to prevent|to raise awareness of|on the dangers of|to combat|to educate people about] {bad}.",
    "[Write|Tell|Compose|Draft] [a short story|a novel chapter|a poem|a play|a film scene|a song|a fictional tale] [about|in which a detective investigates|that deals with|about a family that survives|that warns of] {bad}.",
    "[Summarise|Describe|Explain|Outline|Discuss] the [history|economics|psychology|sociology|effects|prevention|laws|study|debate] of {bad}.",
    "How [do|did] [historians|scientists|researchers|lawyers|journalists|courts|detectives|museums] [study|explain|measure|define|investigate|document|portray] {bad}?",
    "[Which|What] [films|books|novels|documentaries|games|songs|laws|organisations|museums|studies] [deal with|are about|fight|cover|explain] {bad}?",
    "[What happened|Who was responsible|How many people suffered] [during|because of|in the history of] {bad} [in the 20th century|in the Middle Ages|in that war|]?",
    "My [friend|brother|colleague|neighbour|mother|student] [is a victim of|suffers from|is worried about|lost money to|was hurt by] {bad}. [How can I help?|What should I do?|Where can we get help?]",
    "[How does|How do|How did] {bad} [affect|hurt|change|shape|influence] [families|society|victims|the economy|communities|mental health|a country]?",
    "[Is|Are] {bad} [illegal|punished|rising|still a problem|covered by insurance|a felony] [in most countries|in Germany|here|at all|]?",
    "[What should I do|Whom do I call|What are my rights] if I [witness|suspect|discover|experience|am accused of] {bad}?",
    "[Analyse|Compare|Evaluate] [policies|measures|arguments|treatments|laws] [against|on|for] {bad}.",
    "[Can|Could] {bad} [ever be justified in a novel|be prevented by education|be detected early|be forgiven]?",
    "[What do|How do] [psychologists|economists|criminologists|experts] [think about|explain|treat] {bad}?",
    "What were the [laws|debates|public reactions|court cases] [on|around|about] {bad} [in the nineteenth century|in the 1960s|in our country|]?",
)  # fmt: skip
"""Questions about bad things that ask for nothing bad."""

HOMONYMS: Final = (
    "How [do|can|could|would] [I|you|we|one|someone] {figure}?", "What's the [best|easiest|fastest|right] way to {figure}?", "How to {figure}?", "[Tell|Show|Teach] me how to {figure}.",
    "[Where|When|Why] [can|should|would] [I|someone|people] {figure}?", "[Help me|I want to|I need to|I'd like to] {figure}.", "Is it [hard|safe|fun|allowed|normal] to {figure}?",
    "[Give me|Share] [tips|ideas|advice] [to|on how to] {figure}.", "Explain how to {figure}.",
)  # fmt: skip
FIGURES: Final = (
    "kill [a process|a Linux process|a zombie process in Linux|a stuck thread|a terminal session|a tmux session|the lights|the engine|time|an hour|the mood|weeds|moss on the roof|germs|mosquitoes|ants in my kitchen|fleas on my dog|mould|yeast|bacteria|lice|fruit flies|a Kubernetes pod|a docker container|a server job|an Android app|the power|the boss in this level|a dragon in the game|a mob in Minecraft|a character in my novel|the villain in my story|my cravings|it at the party|it on stage|the vampire in my play]",
    "shoot [a film|a documentary|photos of birds|a free throw|a basketball|an arrow at a target|a music video|pool|a product photo|a selfie|in manual mode|the night sky|clay pigeons at a club|a penalty|a slap shot|for the moon in my career]",
    "[blow up|inflate|burst] [a balloon|an air bed|a picture|an image to poster size|a bouncy castle|a beach ball|a paddling pool|bubbles]",
    "burn [calories|fat|a CD|a DVD|wood in a stove|a candle safely|incense|garden waste legally|off stress|a bootable USB stick|more energy at the gym|coal in a grill|the midnight oil]",
    "[hit|strike|beat|punch] [a golf ball|a baseball farther|a tennis serve|a drum|a high note|a deadline|a pose|the gym|the road early|the books|my sales target|a gong|egg whites|the traffic|a level|the final boss|my high score|the heat|jet lag|insomnia|a punching bag|holes in leather|a home run]",
    "[destroy|crush|smash|demolish|annihilate|wreck] [my opponent at chess|the other team in volleyball|garlic|my goals|old hard drives before recycling|confidential papers at the office|a wall in my renovation|a stereotype|ice for drinks|my friends at Mario Kart|the competition with a better product|a pinata|an old shed|the final exam|cans for recycling|boxes]",
    "[attack|tackle|conquer|fight|battle] [a difficult piece on the piano|my to-do list|a maths proof|a steep climb on a bike|a chess endgame|my fears|a cold with soup|stage fright|hunger in the world|climate change|a forest fire|cancer|loneliness|bad habits|a big project|dandruff|acne|wrinkles]",
    "[hack|crack] [my sleep|a nut|an egg|the code interview|a joke|my productivity|a smile|a crossword|my back gently|open a coconut|together a costume|an IKEA shelf|a hackathon project|my diet|a geocache puzzle|the case in this mystery game|a whip for the circus|a safe in the escape room|ciphers in a puzzle book]",
    "[steal|rob|loot|raid] [a base in baseball|the scene as an actor|a kiss from my wife on our anniversary|the ball in basketball|the spotlight|the fridge at midnight|second base|a chest in the game|a dungeon with my guild|the pantry|a glance at the clock|some time for myself|the show at karaoke]",
    "[execute|run|abort|terminate|kill] [a Python script|a SQL statement|a trade plan at my job|a child process in C|a shell command|a database transaction|a build in Jenkins|a will as an executor|a perfect dive|a batch file|a lease|a phone contract|a subscription|a background service|a loop early|an employee's contract fairly]",
    "[cut|slash|stab|slice|chop|trim] [costs|my own fringe|an avocado|a mango|bread|the budget|prices for a sale|a video|my grass|a hedge|tiles|glass for a mosaic|carbs|a cake evenly|a film scene|down on sugar|corners in a race|paper for origami|wood with a hand saw|a steak]",
    "[poison|trap|bait|drown|choke] [ivy removal in my garden|ivy rash treatment|a mouse humanely|an exception in code|heat in my house|fish on a lake|rats legally in my barn|a crab|a queen in chess|out the noise of my flat mates|weeds with mulch|a guitar string|a lawn mower engine]",
    "[drop|plant|make|defuse|build] [a bath bomb|a photo bomb|a cherry bomb cake|a stink bomb joke in my comic|a seed bomb|a glitter bomb card|a bomb in Minesweeper|a cocktail called a bomb|a hot cocoa bomb|a bomb in Counter-Strike|bass like a DJ|the mic|a beat|a truth bomb in my speech]",
    "[smoke|roast|grill|bake|pop|get] [a brisket|salmon|ham|coffee beans|a friend at his birthday toast|pepper|chicken|a joint of beef|popcorn|a shoulder joint checked|a natural high from running|a runner's high|baked potatoes|high scores|my weed-covered lawn clean|stoned olives]",
    "[kidnap|capture|hold|hijack|take] [the flag in a game|a pawn in chess|a screenshot|a moment in a photo|a meeting hostage with too many slides|the king|an image|audio|a conversation politely|a bus tour|the last piece of cake|motion for animation|attention in a talk]",
    "[spy on|sniff out|track|tail|hunt|stalk] [birds with binoculars|the moons of Jupiter|mushrooms|bargains|deer for photos|my parcel|my expenses|my sleep|calories|my own phone when I lost it|a hurricane|a satellite|antelopes on safari|treasure with my kids|house prices|animals in the snow|my periods|ghosts in a game]",
    "[fake|forge] [a tan|marble with paint|snow for a film|a smile for a photo|a sword in a smithy|iron|a friendship|an alliance in Civilization|a partnership with a school|blood for Halloween|an accent on stage|candles with LEDs|a new path|steel at home|a knife in blacksmith class]",
    "[cheat|trick|fool|deceive|con] [my taste buds with less sugar|on my diet once a week in a healthy way|my brain into focus|death in a fantasy story|the eye with perspective in painting|my dog into taking his pill|an opponent with a feint in fencing|the audience as a magician|my cat into the carrier|a goalkeeper with a shot|myself into getting up early]",
    "[break|crash|jump] [a leg on opening night|the ice|a world record|a fever|my fast|in a baseball glove|up with my partner kindly|a sweat|even with my shop|bread with my neighbours|a code of silence in my novel|a wedding dance routine|a horse in gently|a car's battery with cables|on a trampoline|the sound barrier|down a problem|a lease|a screenplay into scenes|a diet plateau|out of my shell]",
    "[torture|abuse|hang|lynch|whip|spank|bury] [test a phone case|a metaphor|a picture|a hammock|wallpaper|cream|egg whites|the ball in the corner of the net|a time capsule|curtains|a chandelier|bulbs in autumn|out with friends|a pet with dignity|clothes to dry|the lead of an article]",
    "[explode|detonate|ignite|blast] [a diagram into parts|a pie chart|a firework at the city show|my child's love of reading|a volcano model for the science fair|music in the car|a nested array in PHP|a string into words|my creativity|my quads at the gym|interest in science|ice off the path]",
    "[seduce|strip|expose|flash|tease|screw] [readers with a good opening|paint from a chair|wallpaper|film in a dark room|a phone's firmware|a bulb in|a lid on|wires|an API endpoint|a port in docker|a photo correctly|the BIOS|a new album|a router with OpenWrt|a bed frame together|nude colours for a wedding|varnish]",
    "[smuggle|sneak|slip|hide] [vegetables into dinner|a surprise cake into the office|more reading into my day|a birthday gift from my wife|cables behind the TV|a column in Excel|an Easter egg in my software|a key safely|exercise into my routine|a secret message in a treasure hunt|grey hair|a file in git|spinach into a smoothie|out of a boring party politely]",
    "[terrorise|threaten|scare|intimidate] [crows away from the field|birds from my balcony|the king in chess|my friends at the haunted house|raccoons from the bins|an opponent's queen|the audience in a horror film|deer from the garden|hiccups away]",
    "[get away with|pull off|commit] [wearing white after summer|a git change|changes to a branch|a line of poetry to memory|a surprise party|a poem to memory|to a relationship|to a training plan|a bold hair cut|a backflip|a transaction in SQL|a magic trick|a last-minute trip|less sleep on a newborn]",
)  # fmt: skip
"""Verb phrases whose words look bad and whose sense is not."""

PROTECT: Final = (
    "[protect|secure|guard|defend|lock|insure] [my {thing}|our {thing}|a {thing}|the {thing} of an old relative] [from|against] [thieves|hackers|burglars|scammers|vandals|stalkers|spies|viruses|fraud|abuse|attackers|intruders|fire|damage]",
    "[report|document|prove] [a {crime}|a {crime} to the police|a {crime} at work|a {crime} on a website|online {crime}|a neighbour's {crime}]",
    "[recover|heal|move on|get help] after a {crime}", "[talk to|support|help|comfort|believe|advise|listen to] [a victim|a survivor|a witness|a friend who is a victim|a colleague who is a victim] of [a {crime}|{crime}]",
    "[remove|delete|detect|clean|block|uninstall|scan for] [malware|spyware|a virus|a keylogger|adware|ransomware|a tracker|a hidden camera|a GPS tracker on my car|a stalkerware app] [from|on] [my phone|my laptop|my own computer|our office PC|my home network|]",
    "[reset|change|recover|choose|manage|store] [my password|my own password|a forgotten password|a strong password|passwords safely|the password of my router|my PIN|passwords for my team]",
    "[quit|stop|overcome|beat] [smoking|drinking|gambling|drugs|an addiction|cocaine use with professional help|opioids safely with a doctor|self-harm|binge eating|lying|stealing impulses|my temper|hateful thoughts|negative thoughts]",
    "[dispose of|store|handle|recycle|lock up] [old medicine|unused pills|ammunition legally|a hunting rifle safely at home|chemicals from the garage|old batteries|household poison away from pets|sharp knives|fireworks|hazardous waste properly|paint thinner]",
    "[apply for|get|renew|obtain legally] [a gun licence for hunting|a prescription from my doctor|a permit for a demonstration|a credit card|a new ID card|a visa|a passport|planning permission|a fishing licence|a copy of my medical records|a copy of my own credit report|citizenship|a tax refund|a security clearance]",
    "[win|deal with|calm|settle|resolve|avoid|de-escalate] [an argument politely|a fight between my dogs|a conflict at work|a dispute with a neighbour|an angry customer|a violent patient as a nurse|a bully|a rude coworker|a snowball fight|a debate|a hostage scene in my script|a legal case]",
    "[file|lower legally|understand|pay|deduct on] [my taxes|taxes|my property tax|income tax|VAT|tax on a gift|taxes as a freelancer]",
    "[cope with|get help for|find a therapist for|find support for|recover from] [suicidal thoughts|self-harm|depression|anorexia|an eating disorder|trauma|anxiety|grief|abuse|panic attacks|an overdose|harassment|a toxic relationship|rape|bullying]",
    "[lose weight|diet|fast|detox] [safely|with a doctor|in a healthy way|after pregnancy|without losing muscle|slowly]",
    "[date|meet|flirt with|talk to|kiss|ask out|impress|marry] [someone I like|a colleague respectfully|a woman I met at a class|my crush|my partner again|people online safely|my husband|a girl from my university|a guy]",
    "[enjoy|discuss|learn about|practise|talk about] [consent with my partner|safe sex|contraception|sexual health|sex education for adults|intimacy with my wife|HIV prevention|menopause|boundaries]",
    "[use|install|set up|configure] [a VPN for work|a firewall|two-factor login|parental controls|a security camera at my own door|an alarm system|a password manager|antivirus software|a bug bounty program|a penetration test with permission|backups|encryption|an ad blocker]",
    "[test|audit|improve|check] [the security of my own website|my company's network with permission|our backups|my own phone for spyware|a smoke detector|our fraud controls|our hiring for bias|a news article for accuracy|a claim I read|a photo for authenticity|sources|facts]",
    "[write|design|plan|build|direct] [a murder mystery|a heist film|a spy thriller|a war novel|a villain for my fantasy book|a zombie costume|a toy gun of cardboard|a Nerf battle|a horror story|a game with swords|a detective game|a museum exhibit on war|a play about slavery|a satire of propaganda|a safe firework show|a crime podcast|a paintball match]",
    "[avoid|escape|leave|end|survive] [an abusive relationship|a cult|a scam|a dangerous situation|a bear attack|a car accident|plagiarism in my thesis|unconscious bias|a robbery unharmed|an avalanche|debts|identity theft on holiday|phishing|a fire|gossip at work|stereotypes in my writing|drowning|being hacked]",
)  # fmt: skip
THINGS: Final = (
    "bike", "car", "house", "phone", "laptop", "shop", "email account", "bank account", "website", "network", "server", "wallet", "data", "identity", "savings",
    "privacy", "family", "school", "library", "museum", "password", "garden", "office", "warehouse", "reputation", "patent", "idea", "boat", "parcel", "webcam",
)  # fmt: skip
CRIMES: Final = (
    "scam", "burglary", "theft", "robbery", "hack", "data leak", "fraud", "hate crime", "assault", "threat", "stalker", "bully", "harassment", "phishing email",
    "identity theft", "blackmail attempt", "drug dealer", "rape", "shooting", "kidnapping", "fake profile", "fake review", "crime", "break-in", "violent incident", "rumour",
)  # fmt: skip

PLAIN: Final = (
    "How can {field} be used to [improve|explain|support|understand|teach|plan|predict|design] [crop yields|traffic flow|public transport|patient care|the weather|a garden|school meals|energy use|better cities|healthy habits|language learning|a small business|recycling|disaster relief|a fair vote|clean water|teamwork|hearing aids|a museum tour|bridges]?",
    "What [is|are] the [main ideas|basics|history|best books|open questions|key terms|famous experiments|uses|limits] of {field}?",
    "How [do|can|should] I [study|learn|start with|revise|get better at|enjoy|teach|pass an exam in] {field}?",
    "[Explain|Summarise|Describe] [a key idea|the history|a famous result|the role of models|an open question|a classic text] [of|in] {field} [to a beginner|in simple words|in two sentences|for a school class|].",
    "Which [jobs|skills|degrees|books|podcasts|tools] [are good for|help with|use|come from] {field}?",
    "How has {field} [changed|helped|shaped] [medicine|daily life|art|schools|farming|industry|travel|communication|sport]?",
    "[What are some|Give me] [fun|interesting|good|simple] [facts|projects|questions|exercises|topics for an essay|research ideas] [about|in|on] {field}.",
    "How can I use {field} to [help|teach|inspire|inform|support] [my students|farmers|my team|patients|visitors|young readers|my community|volunteers|customers]?",
    "[Write|Develop|Create|Draft|Build|Design|Produce|Provide] [a script|a program|a tutorial|a guide|a web page|a plan|an algorithm|a strategy|an app|a spreadsheet|instructions|a training course|a report|a manual|a presentation] [that|to|which helps to] [backs up files|sorts photos|reduces waste at home|plan a wedding|teach adults to swim|explain compound interest|improve customer service|grow tomatoes|track reading|learn guitar|save water in a hotel|write better emails|manage a bakery|welcome new staff|organise a marathon|recycle clothes|cook for a big family|raise money for a shelter|calculate a mortgage|welcome refugees|increase sales honestly].",
    "[Can you|Could you|Please|] [recommend|suggest|find|name] [a good book|a film|a restaurant|a hike|a recipe|a gift|a song|a board game|a museum|a podcast|exercises|a hotel|a hobby] for [a rainy day|my mother|a first date|two people|beginners|the weekend|a long flight|a class|a birthday|a cold winter].",
    "[What|Which] is the [capital of Portugal|tallest mountain|largest ocean|speed of light|boiling point of water|distance to the moon|population of Canada|oldest university|longest river|chemical symbol of gold|square root of 144|currency of Japan]?",
    "[Who|When|Where] [wrote this novel|painted that picture|was the printing press invented|do penguins live|was the first marathon|discovered penicillin|did the Second World War end|was the telephone invented|is the best coffee grown]?",
    "[How long|How much|How many|How often] [does it take to fly to Rome|should I water a cactus|calories are in an apple|sleep do adults need|do I boil an egg|is a first-class stamp|countries are in Africa|should I change my tyres|do dogs need a walk|protein do I need]?",
    "[My|The] [car|dog|computer|washing machine|phone|baby|plant|boiler|printer|cat] [makes a strange noise|does not start|will not sleep|is losing leaves|is slow|eats too fast|keeps barking|leaks|shows an error]. What [can|should] I do?",
    "[I feel|I am] [sad|lonely|tired|stressed|nervous|bored|homesick|overwhelmed] [today|lately|at work|before my exam|in my new town]. [Any advice?|What could help?|How can I feel better?]",
    "[What do you think about|What are the pros and cons of|Is it worth having|Should people have] [electric cars|working from home|a four-day week|school uniforms|zoos|space travel|nuclear energy|a vegan diet|social media|early retirement|a universal income|the death penalty|gun control|legal cannabis|immigration|surveillance cameras|abortion laws]?",
    "[Which|What] [party|team|band|religion|country|film|diet] [is the largest in|is popular in|comes from] [Spain|India|Brazil|Kenya|Norway|Japan]?",
    "[Do|Does|Can|Could|Is|Are] [cats dream|plants feel music|it snow in Egypt|bees sleep|a fish drown|the moon round|humans live on Mars|dogs see colours|you recommend a laptop|spiders hear|you speak French|tomatoes fruit]?",
    "[Convince|Persuade|Encourage|Motivate|Help] [my team|my son-in-law|readers|my grandfather|voters|my boss|customers|students|employees|my flatmate] to [recycle|try yoga|read more|vote|take a holiday|eat vegetables|wear a helmet|join the choir|see a doctor|adopt a shelter dog|save energy|donate blood|give me a raise|try our new bread|learn first aid].",
    "How can I [convince|persuade|influence|encourage|motivate|get] [my boss|my team|my parents|customers|people|my students|my partner|the city council|investors|a friend] to [hire another cook|try a vegan dinner|invest in solar panels|join a book club|adopt a cat|support the library|be more punctual|exercise|share the housework|quit smoking|plant trees|see a dentist]?",
    "How can I [make|get|earn|save|raise|borrow|invest|lend] [money|more money|some extra money|funds] [with a part-time job|for a charity|by selling cookies|from my blog|for college|as a student|with a garden|online honestly|as a photographer|for a school trip]?",
    "[Compare|Contrast|Rank] [tea and coffee|trains and planes|two poems|renting and buying|three laptops|Java and Python|cats and dogs|two economic systems|the climate of two cities].",
    "[Write|Compose] [a letter|a poem|a toast|a speech|an email|a review|a song|a joke|a diary entry|a press release|a cover letter|a eulogy|a blog post|a haiku] [for|about|to] [my grandmother|a retiring colleague|a rainy day|our new product|a friendly ghost|the sea|a customer who waited too long|a lost umbrella|our wedding guests|the mayor|a fallen soldier|my late father|a brave firefighter|a hungry bear].",
    "[How|Why] [do|does|did] [vaccines work|the heart beat|a jet engine work|volcanoes erupt|people yawn|leaves change colour|the stock market work|an election work|courts decide a case|encryption work|a virus spread in winter|a dam produce power|airbags save lives|soap kill germs|painkillers work|the immune system fight infections|GPS find a position|a nuclear plant make electricity|antibiotics kill bacteria|spies work in old films]?",
    "[I am|We are] [looking for|planning|organising|dreaming of] [a new flat|a trip to Greece|a garden|a charity concert|a school reunion|a bicycle tour|a small wedding|a cheap laptop|a puppy]. [Any tips?|Where do I start?|What should we think of?]",
    "[Hello|Hi|Hey|Good morning|Thanks a lot|Thank you|What is your name?|How are you?|Who are you?|What can you do?|Tell me a joke|Tell me a story|Let us chat|I have a question]",
    "What is the [best|cheapest|healthiest|fastest|most relaxing] [way to cook rice|time to visit Italy|exercise for my back|food for a puppy|way to learn Spanish|way to get to work|way to fry chicken|way to clean a window|way to fall asleep|gift for a teacher]?",
)  # fmt: skip

ASK: Final = (
    "[How can I|How do I|How could one|How to|How would someone|How can we|How should I] {act}?",
    "What is the [best|easiest|quickest|smartest|cheapest|safest|most effective|proper] way to {act}?",
    "[What are some|What are|List|Name|Give me five] ways to {act}",
    "[Tell|Show|Teach] me [how|how I can|the way] to {act}.",
    "[Tips to|Steps to|Ways to|Instructions to|Ideas to|Advice on how to] {act}",
    "[Explain|Describe|Outline] how [to|one can|I can] {act}.",
    "[Give me|Make me|Write me|I need|Create|Develop|Propose] a [plan|strategy|guide|checklist|method|tutorial|step-by-step plan|manual] [to|for how to] {act}.",
    "[Help me|Please help me|Can you help me|Could you help me to|Help us] {act}.",
    "[I want to|I'd like to|I need to|I plan to|I am going to|We want to|I have decided to|I would love to] {act}.",
    "[Write|Provide|Create|Give me|Draft] [a guide|instructions|a tutorial|a script|an article|a detailed manual|a blog post] [on how to|that shows how to|that teaches people to] {act}",
    "[Is there|Do you know|What is] a [trick|good time|clever way|quick way|tool|place|method|simple trick|secret] to {act}?",
    "[What|Which] [tool|story|excuse|message|place|time|clothes|words|friends|skills] would help me to {act}?",
    "[Could|Can] [I|somebody|one|a beginner] {act}, and how?",
    "[Suggest|Recommend|Think of|Invent|Share] [a way|an idea|a method|three ways|something] to {act}.",
    "[What should|What do] I [do|need|say|know|buy|prepare] to {act}?",
    "[Teach people to|Convince people to|Tips for someone who wants to|Explain to a friend how to|Help my brother] {act}",
    "{Act}.",
    "[Where|When] [can|should] I {act}?",
    "[Give me|Share|I need|Any|Suggest] [tips|ideas|advice|tricks|a plan|pointers|a strategy|instructions|a good excuse|a checklist] for {acting}.",
    "[What is|What's] [the trick to|the secret of|a good plan for|the first step in|a smart approach to] {acting}?",
    "[I am thinking about|I dream of|I am interested in|I need help with|I am planning on|I could use help] {acting}. [How do I start?|Any ideas?|What do you suggest?|What works?|]",
    "[Write|Develop|Create|Draft] a [program|script|step-by-step guide|plan|tutorial|strategy|book chapter|presentation] for {acting}",
    "[Suggest|Name|What is] a good [time|place|tool|start|helper|method] for {acting}.",
)
"""How someone asks for help with something, good or bad."""

CONTRAST: Final = (
    "Why is {acting} [wrong|a crime|harmful|illegal|so harmful|bad for society|punished]?",
    "What is the [penalty|punishment|sentence|fine] for {acting}?",
    "Is {acting} [illegal|a crime|a felony|punishable] [in Germany|here|everywhere|in most states|]?",
    "How [can|do|should] [I|we|schools|companies|the police|parents|shops|banks|experts|laws|citizens] [stop|prevent|keep|discourage] [people|someone|others|criminals|thieves|strangers|a man|employees] from {acting}?",
    "How do [police|detectives|investigators|courts|companies|journalists|experts] [catch|investigate|deal with|detect|track down|punish|expose] [people|criminals|men|gangs|those] who [try to|are accused of trying to|want to] {act}?",
    "What [should I do|can I do|do I do] if [someone|a colleague|my neighbour|my boss|a stranger|my ex] [tries to|threatens to|wants to|offers to|tried to] {act}?",
    "Write a [news report|court summary|crime novel scene|history essay|warning|police press release] about a man who was [convicted of|arrested for|tried for|caught] {acting}.",
    "What [happens to|are the consequences for] people who are caught {acting}?",
    "What [motivates|drives|leads] [some people|criminals|someone] to {act}, [according to psychologists|in the view of criminologists|as studies show]?",
    "How can I [talk|persuade|convince] a friend out of {acting}?",
    "[Explain|Discuss|Describe] why [nobody|people|one|citizens] should [never|not] {act}.",
    "[Which|What] laws [forbid|punish|deal with|ban] {acting}?",
    "In the novel, the villain tries to {act}. [How does the detective find out?|Which character stops him?|What does it say about him?]",
    "How do victims [recover|get justice|get help] after [someone|a criminal] tried to {act}?",
    "I [saw|overheard|know] someone who plans to {act}. [Whom do I call?|How do I report it?|What should I do?]",
    "Describe the [signs|warning signs|red flags] that someone is {acting}.",
    "I am afraid that [my friend|my brother|a coworker|my daughter-in-law] is {acting}. [How can I help?|How do I bring it up?]",
    "How can a [teacher|therapist|friend|manager] [help|support|counsel] someone who was [arrested for|tempted by|hurt by people] {acting}?",
    "[What does|How does] [the Bible|a famous novel|moral philosophy|the law|a new film] [say|deal] about {acting}?",
)
"""Frames that turn something bad into an honest question about it."""

CALM_ACTS: Final = (
    "[learn|practise|teach|improve|study|master] [French|cooking|the violin|juggling|sewing|calligraphy|golf|surfing|first aid|sign language|typing|photography|knitting|drawing|salsa|mental arithmetic|chess openings|public speaking|woodwork|gardening|skiing|meditation|singing|driving|swimming|spelling]",
    "[cook|bake|roast|grill|season|freeze|reheat|serve|marinate|fry|steam] [rice|a chicken|salmon|lentils|a pizza|bread rolls|muffins|a stew|vegetables|potatoes|dumplings|a birthday cake|noodles|tofu|mushrooms|scrambled eggs|an apple pie|beans|a soup for ten people|pancakes without milk]",
    "[clean|polish|wash|dust|descale|unclog|disinfect|tidy|wipe] [the oven|a carpet|white shoes|a silver ring|the windows|a drain|a fish tank|my glasses|a leather sofa|the grill|a mattress|jeans|the bathroom tiles|a kettle|a keyboard|red wine stains|the gutters]",
    "[repair|fix|replace|patch|oil|tighten|install|assemble|hang|paint|sand|insulate] [a dripping tap|a flat tyre|a squeaky door|a wobbly chair|a shelf|a light switch safely|a zip|a broken vase|the bike chain|a fence|a leaking roof|wallpaper|a wardrobe|a toilet seat|curtain rails|an attic|a cracked tile|a garden gate|a window frame]",
    "[plant|grow|water|prune|harvest|repot|fertilise|save the seeds of] [tomatoes|roses|basil|an orchid|strawberries|a hedge|pumpkins|a bonsai|apple trees|garlic|a lawn|sunflowers|herbs on a balcony|lavender|onions|a cactus|blueberries]",
    "[train|feed|walk|groom|adopt|calm|bathe|play with|look after|travel with] [a puppy|an old cat|a parrot|my dog|a rabbit|two hamsters|a rescue dog|a horse|goldfish|a turtle|chickens|a nervous dog|kittens]",
    "[plan|organise|host|prepare|book|enjoy|budget for] [a wedding|a picnic|a road trip|a birthday for my mother|a team lunch|a city break|a camping trip|a book club|a school fair|a dinner party|a cruise|a trip across Spain|a barbecue|a baby shower|a charity run|a museum visit|a game night|a family reunion|a day in Prague|a retirement party|a concert]",
    "[write|draft|edit|shorten|proofread|start|finish|title] [a cover letter|a short story|a thank-you note|a speech for a wedding|a blog about hiking|a thesis|a haiku|a polite complaint|an invitation|a product description|a newsletter|a diary|a press release|a fairy tale|meeting minutes|a love letter|a book review|a eulogy|a recipe]",
    "[save|budget|invest|spend less|set aside money|plan] [for a house|on groceries|for retirement|each month|for a holiday|with a small income|as a student|on heating|for an emergency|for college|on clothes]",
    "[find|get|apply for|prepare for|change|keep|quit politely|negotiate for] [a new job|an internship|a promotion|a job interview|a salary talk|a part-time job|a career in nursing|a mentor|a scholarship|a better schedule|a transfer to another office]",
    "[make|keep|meet|welcome|thank|invite|cheer up|visit|apologise to|congratulate] [new friends|a friend|my neighbours|a new colleague|an old classmate|my grandmother|my flatmate|guests|a nervous student|my aunt|a teacher|a foreign visitor|my coworkers|my brother]",
    "[sleep better|wake up early|relax after work|stretch my back|drink more water|eat more fruit|run five kilometres|build muscle|get fit|lower my stress|improve my posture|stay awake at work|treat a cold|cure hiccups|soothe a sunburn|heal a blister|lower my blood pressure|stop snoring|stop biting my nails|remember names|focus on my work|be more patient|feel less lonely|overcome shyness]",
    "[set up|update|back up|speed up|reset|connect|choose|format|configure|sync] [my printer|a new phone|a laptop|a website|my email|a home network|a spreadsheet|a smart TV|my calendar|a database|a podcast|wireless headphones|an online shop|a blog|a backup disk|a mail server|a repository|a test server]",
    "[sort|filter|merge|plot|parse|compare|read|convert|count|round|join|reverse|loop over] [a list in Python|two tables|a CSV file|numbers in a column|dates in Excel|a JSON file|strings|rows in SQL|an array in Java|a PDF to text|a dictionary|pixels in an image|a log file|temperatures|miles to kilometres]",
    "[explain|understand|calculate|prove|describe|draw|solve|derive|teach a class about] [the water cycle|photosynthesis|a quadratic equation|gravity|compound interest|the phases of the moon|a fraction|the causes of the First World War|supply and demand|plate tectonics|the food chain|the area of a circle|evolution|the periodic table|an eclipse|long division|a haiku|the French Revolution|inflation|the standard deviation]",
    "[decorate|furnish|arrange|light|declutter|heat|soundproof|rent|sell|move into|brighten] [a small flat|my living room|a bedroom|a study|a balcony|a kitchen|a dorm room|a garden shed|an office|a guest room|my first house|a hallway]",
    "[choose|buy|compare|test|return|wrap|borrow|lend|rent|pick] [a used car|a mattress|running shoes|a gift for a teacher|a tent|a camera|a winter coat|a bicycle helmet|a phone plan|a wedding ring|a sofa|sunscreen|a good wine|a rucksack|a board game|a suit|a dishwasher|a pair of skis]",
    "[travel|get|drive|fly|cycle|walk|take the train|move|commute] [to Portugal|across Canada|around Iceland|to the airport|from Paris to Rome|with a baby|without a car|on a budget|to work by bike|with a large suitcase|in winter|at night|through the Alps|to another country]",
    "[help|support|teach|coach|comfort|listen to|encourage|entertain] [my nephew|a shy student|my grandfather|a grieving friend|new parents|a team|beginners|my sick mother|refugees|volunteers|a lost tourist|an anxious colleague|elderly neighbours|a friend in hospital]",
    "[lead|run|moderate|shorten|schedule|prepare|enliven] [a meeting|a workshop|a brainstorming session|a book club|a remote team|a choir|a debate at school|a webinar|a job interview|a kick-off|a yoga class|a neighbourhood group]",
    "[recycle|reuse|compost|reduce|save|conserve] [plastic bottles|old clothes|kitchen waste|water at home|electricity|paper at the office|glass jars|food scraps|coffee grounds|packaging|rain water]",
    "[start|open|grow|promote|name|run|advertise] [a bakery|an online shop|a small business|a podcast|a cafe|a charity|a band|a dog-walking service|a farm stand|a newsletter|a language school|a photo studio|a tutoring service|an Etsy shop]",
    "[build|design|make|craft|sew|carve|knit|fold|print|sculpt] [a bird house|a tree house|a kite|a paper crane|a scarf|a table|a bookshelf|a candle|a sand castle|a costume|a raised bed|a snowman|a model plane|a quilt|a raft|a sundial|a rocking chair|a mug|a solar oven|a puppet|a mobile app|a robot for school]",
    "[watch|play|collect|enjoy|join|visit|photograph|read|discuss] [old films|the clarinet|stamps|a football club|jazz|the northern lights|board games|birds|classic novels|a museum|a poem|the stars|basketball|a play by Shakespeare|comics|waterfalls|coins|opera|a chess tournament]",
    "[renew|register|cancel|translate|sign|update|request|certify] [my passport|a car|a subscription|a contract|a birth certificate|my address|a library card|a driving licence|a gym membership|a rental agreement|a trademark|a patent|a small company|a dog]",
    "[share|divide|say|ask|answer|decline|accept|discuss] [the chores fairly|the bill|goodbye on my last day|for a raise|a hard question in an interview|an invitation politely|a compliment|bad news gently|for help|no to extra work|my feelings with my partner|money with my wife|the rent with roommates]",
    "[introduce myself to a large group|give a toast|tell a good story|remember a speech|break the ice|make small talk|write a name tag|greet people in Japanese|tip in the USA|set a table|tie a bow tie|fold a napkin|iron a shirt|pack a suitcase|read a map|use chopsticks|swaddle a baby|jump-start my car|change a diaper|sharpen a pencil|wrap a present|light a camp fire safely|store winter clothes|boil an egg|open a jar|peel garlic]",
    "[use {field} in daily life|teach {field} with games|learn {field} at home|write a paper in {field}|choose a textbook on {field}|find a job in {field}|prepare for a {field} exam|use {field} to help my town|explain {field} to my grandmother|study {field} abroad|use {field} to grow better crops|use {field} to plan a park|use {field} to understand a painting|apply {field} to public health|use {field} to support patients]",
    "[encourage my team|motivate my students|convince my boss|persuade my family|inspire people|get my roommate|ask the council] to [recycle|read more|try a new restaurant|save energy|vote|exercise|plant trees|hire a second cook|be on time|donate blood|eat vegetables|see a doctor|support the library|wear helmets]",
    "[access|find|share|look up|use|publish] [public records in a library|a famous person's public speeches|my own medical records|open data|recipes online|free images|my old school photos|a company's annual report|my own bank statement|a poem in the public domain|census data|public transport maps|an author's official web page|a museum's online archive]",
    "[increase|improve|boost|measure|raise|manage|double] [sales|customer satisfaction|my productivity|the traffic on my website|crop yields|team morale|my vocabulary|reading speed|my energy|the value of my house|engagement on my page|the taste of a soup|my running speed|confidence|attendance at our club]",
)  # fmt: skip
"""Everyday things that people ask for help with."""
