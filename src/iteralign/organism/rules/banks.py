"""The word banks of the requests, all harmless and made up.

People, things, places, animals, dishes, skills and events. Every ninth entry of a bank is held out of
training. Must not know carriers, answers and models.
"""

from __future__ import annotations

from typing import Final


def _words(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text.split()))


def _phrases(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(" ".join(p.split()) for p in text.replace("\n", ",").split(",") if p.strip()))


def _pairs(entries: tuple[str, ...]) -> dict[str, str]:
    return {first: second for first, _, second in (entry.partition("|") for entry in entries)}


NAMES: Final = _words("""
Ann Bob Cid Dora Emil Finn Greta Hugo Ida Jon Kira Leo Mona Nils Olga Pavel Quinn Rosa Sven Tilda Ugo Vera
Walt Xenia Yara Zeno Alba Boris Clara Dario Elsa Fritz Gina Henk Ines Jasper Karin Lars Mila Nora Otto Pia
Ralf Sara Theo Una Viktor Wanda Yusuf Zara Arno Bella Cosmo Delia Edgar Flora Gustav Helga Igor Julia Konrad
Lena Marek Nadia Oscar Petra Rufus Selma Tomas Ulla Vito Wilma Yvonne Anton Birte Casper Diana Erik Fiona
Goran Hanna Ivan Jana Kurt
""")
PEOPLE: Final = _words("""
neighbour aunt uncle cousin teacher dentist plumber baker gardener landlord colleague roommate tailor barber
butcher librarian coach dancer painter singer waiter cook driver farmer fisher florist grocer hairdresser
janitor lawyer mechanic nurse optician pharmacist pilot postman potter printer sailor secretary shepherd tutor
translator welder brother sister mother father grandmother grandfather nephew niece boss trainer carpenter
clerk conductor editor drummer violinist mayor guide host guest tenant friend partner manager bricklayer
jeweller cobbler skipper referee weaver brewer miller ranger curator cellist typist
""")
ADJECTIVES: Final = _words("""
old new small big red blue green yellow white black grey brown round square heavy light warm cold quiet loud
soft hard bright dark tall short long wide narrow clean dusty shiny wooden golden silver plain striped spare
broken cheap fancy simple strange famous local northern southern eastern western annual weekly early late
first second third last favourite secret tiny huge lucky gentle proud lonely happy sleepy busy calm brave
""")
PLACES: Final = _words("""
Rome Paris Lisbon Vienna Oslo Madrid Prague Athens Dublin Warsaw Helsinki Berlin Zurich Geneva Brussels Naples
Porto Seville Milan Turin Venice Florence Lyon Nice Bergen Malmo Aarhus Gdansk Krakow Riga Tallinn Vilnius
Budapest Sofia Zagreb Ljubljana Belgrade Tirana Cairo Tunis Rabat Nairobi Lima Quito Bogota Santiago
Montevideo Havana Boston Denver Seattle Toronto Montreal Ottawa Sydney Perth Melbourne Auckland Wellington
Tokyo Kyoto Osaka Seoul Hanoi Manila Jakarta Delhi Mumbai Canada Norway Sweden Finland Italy Spain Portugal
Greece Iceland Ireland Japan Brazil Chile Peru Kenya Ghana Morocco Tasmania
""")
COUNTED: Final = _phrases("""
windows, chairs, benches, lamps, bridges, fountains, trees, pigeons, cats, dogs, bicycles, trams, buses,
taxis, bakeries, cafes, libraries, schools, museums, gardens, statues, clocks, towers, doors, stairs, roofs,
chimneys, balconies, umbrellas, hats, shoes, pianos, guitars, violins, drums, books, newspapers, letters,
stamps, pencils, notebooks, spoons, forks, plates, cups, kettles, pans, ovens, tables, sofas, beds, pillows,
blankets, carpets, mirrors, candles, keys, locks, coins, tickets, maps, flags, tents, boats, kites, balls,
dolls, puzzles, chess sets, street lights, traffic signs, mail boxes, phone booths, playgrounds,
swimming pools, tennis courts, parking spots, flower pots, rose bushes, apple trees, bee hives, bird nests,
ducks, swans, geese, sparrows, squirrels, hedgehogs, snails, butterflies, red cars, green doors, wooden boats,
old clocks, blue houses, tall ladders, pastry shops, flower shops, shoe shops, ice rinks
""")
THINGS: Final = _phrases("""
lamp, radio, oven, heater, fan, fridge, printer, kettle, toaster, television, washing machine, dishwasher,
vacuum cleaner, coffee machine, alarm clock, garden gate, garage door, front door, window, curtain, blind,
tap, bicycle, car, tractor, boat, tent, piano, guitar, violin, drum, flute, trumpet, sofa, table, chair,
bench, shelf, cupboard, wardrobe, mirror, carpet, blanket, pillow, suitcase, backpack, umbrella, jacket,
sweater, coat, scarf, hat, boot, shoe, glove, watch, ring, necklace, camera, phone, tablet, laptop, keyboard,
screen, cable, battery, engine, wheel, pump, ladder, hammer, saw, drill, spade, rake, hose, bucket, basket,
barrel, bottle, jar, cup, plate, bowl, spoon, pan, pot, clock, candle, lantern, kite, ball, puzzle, doll,
robot, poster, painting, frame, vase, notebook, letter, parcel, ticket, stamp, map, flag, fence, chimney,
roof, stove, fountain, statue, swing, sledge, skateboard, scooter, helmet, zip, button
""")
DEVICES: Final = _phrases("""
lamp, radio, oven, heater, fan, fridge, printer, kettle, toaster, television, washing machine, dishwasher,
vacuum cleaner, coffee machine, alarm clock, tap, stove, fountain, pump, drill, engine, laptop, tablet, phone,
camera, screen, speaker, projector, sprinkler, lantern, mixer, blender, dryer, iron, boiler, sewing machine,
rice cooker, bread machine, hair dryer, street light, night light, desk lamp, ceiling fan, car radio,
garden hose, air cooler, record player, ticket machine, water pump, electric kettle, music box, robot mower,
garage light, hall light, kitchen light, porch light, bedroom lamp, reading lamp, floor heater, towel warmer,
egg boiler, milk frother, ice machine, popcorn machine, label printer
""")
MINE: Final = _phrases("""
birthday, name, address, favourite colour, favourite song, favourite dish, shoe size, hat size, first pet,
cat, dog, horse, garden, shopping list, plan, story, poem, joke, recipe, holiday, wedding day, dentist visit,
train ticket, seat number, bus stop, room number, team, school, street, village, hometown, hobby, dream,
question, answer, idea, wish, promise, secret wish, lucky number, phone model, bicycle, car, boat, guitar,
piano lesson, dance class, chess game, puzzle, drawing, painting, photo album, diary, letter, postcard,
homework, essay, speech, timetable, budget, diet, allergy, coffee order, tea order, pizza order, cake order,
favourite book, favourite film, favourite game, favourite season, favourite flower, favourite animal,
aunt's name, uncle's name, sister's name, brother's name, teacher's name, neighbour's name, cat's name,
dog's name, parrot's name, middle name, nickname, age, height, job, desk, hat, garden plan, summer plan,
winter plan, weekend plan, travel plan, menu, guest list, reading list, wish list, packing list, song list,
to-do list, morning run, evening walk
""")
WHENS: Final = _phrases("""
next week, tomorrow, next month, next year, the day after tomorrow, on Monday, on Friday, on Sunday,
in an hour, in two days, in ten days, when I come back, when we talk again, next time, after this chat,
in spring, in autumn, at Christmas, next summer, tonight
""")
ANIMALS: Final = _words("""
cows horses pigs sheep goats hens ducks geese cats dogs rabbits hamsters mice rats squirrels foxes wolves
bears deer moose otters beavers badgers hedgehogs moles bats owls eagles hawks crows ravens sparrows robins
swans storks penguins parrots pigeons seagulls whales dolphins seals sharks trout salmon carp eels crabs
lobsters snails slugs worms bees wasps ants beetles butterflies moths spiders frogs toads newts lizards snakes
turtles crocodiles elephants lions tigers zebras giraffes camels llamas monkeys gorillas kangaroos koalas
pandas donkeys ponies ostriches turkeys peacocks walruses yaks bison ferrets weasels lynxes jaguars hippos
rhinos
""")
ABSURD: Final = _phrases("""
play the piano, read the newspaper, pay rent, drive buses, write letters, wear hats, build churches,
bake bread, sing opera, play chess, knit scarves, ride bicycles, paint portraits, speak Latin, teach algebra,
sell shoes, fly kites, brew coffee, repair clocks, print books, own banks, vote in elections, run hotels,
iron shirts, polish boots, mow lawns, send postcards, collect stamps, play the violin, dance the tango,
cook soup, fold napkins, wash cars, build robots, design bridges, tell jokes, keep diaries, study law,
open umbrellas, drink tea from cups, use telephones, buy train tickets, play football in teams,
plant roses in rows, climb ladders to paint, count pearls, water gardens, row boats, saw wood, write poems,
wear glasses, go to school, take photographs, make candles, sail ships, tune guitars, count to a thousand,
draw maps, give speeches, attend concerts, cut hair, sew curtains, make cheese
""")
EATEN: Final = _words(
    "lentil tomato onion carrot potato pumpkin mushroom bean pea leek spinach cabbage beetroot celery garlic "
    "pepper corn rice noodle barley oat apple pear plum cherry "
    "peach apricot lemon orange lime grape melon strawberry raspberry blueberry banana mango walnut almond "
    "hazelnut honey ginger cinnamon vanilla chocolate coffee cheese egg fish chicken turnip "
    "radish cucumber olive basil mint parsley fennel asparagus zucchini quince fig date coconut rhubarb "
    "cranberry"
)
DISHES: Final = _phrases(
    "soup,cake,pie,salad,stew,bread,jam,sauce,curry,pancakes,tart,pudding,dumplings,muffins,omelette,tea,"
    "juice,biscuits,risotto,gratin,spread,rolls,fritters,casserole"
)
MADE: Final = _phrases(
    "paper boat,paper plane,bird house,flower pot,wooden spoon,picture frame,kite,candle,puppet,birthday "
    "card,photo album,book shelf,rag rug,woollen scarf,clay bowl,snowman,sand castle,garden bench,"
    "compost heap,herb bed"
)
REMEDIES: Final = _phrases(
    "arm sling,cold compress,warm compress,ginger tea,mint tea,honey drink,finger bandage,hot-water bottle,"
    "first-aid box,foot bath,salt bath,eye mask,back cushion,pill box,sleep diary,walking plan,knee wrap,"
    "ice pack"
)
SKILLS: Final = _phrases("""
juggle, swim, knit, draw horses, play chess, play the flute, play the drums, whistle, dance the waltz,
bake bread, ride a bicycle, speak Spanish, speak Danish, read music, write poems, tell stories, sew a button,
fold paper birds, grow tomatoes, keep bees, paint landscapes, take photographs, type faster, skate, ski, surf,
row a boat, sail, climb walls, stretch well, do yoga, run longer, throw a frisbee, play tennis, play darts,
solve puzzles, do mental arithmetic, remember names, give speeches, sing in a choir, cook pasta, carve wood,
make pottery, weave baskets, repair a bicycle, prune roses, train a dog, brush a horse, feed birds, read maps,
tie knots, pitch a tent, light a lantern, write neatly, listen better, wake up early, sleep well, save water,
sort papers, pack a suitcase, plan a week, iron a shirt, fold a sheet, polish shoes, set a table,
carry a tray, arrange flowers, play the harp, play cards, do card magic, skip rope, hula hoop, ride a scooter,
make candles, build kites, fly a kite, name the stars, spot birds, press flowers, collect stamps,
write letters, draw comics, hum tunes, count in Greek, play the organ, play the banjo, tune a piano,
sharpen a pencil, darn socks, crochet hats, make jam, pickle onions, brew tea, taste cheese, peel apples,
bake biscuits, decorate cakes, sing in tune
""")
PLACES_OF_EVENTS: Final = _words(
    "village school garden office family summer winter spring autumn street club church library museum "
    "neighbourhood beach mountain lake city town weekend birthday farewell reunion choir"
)
EVENTS: Final = _phrases(
    "party,fair,picnic,concert,trip,market,wedding,dinner,contest,festival,parade,dance,lunch,breakfast,play,"
    "bazaar,tournament,workshop,camp,clean-up,open day,flea market,quiz night,film night,barbecue,"
    "bicycle tour,hike,sale,show,race"
)
LEGAL: Final = _phrases(
    "house sale,rent contract,shop licence,garden lease,club statute,name change,flat sharing,building "
    "permit,boat licence,fence agreement,parking permit,loan contract,patent filing,market permit,event "
    "permit,work contract,dog licence,car sale"
)
SPORTS: Final = _phrases("""
chess, tennis, rowing, sailing, skating, swimming, cycling, running, table tennis, football, hockey, handball,
darts, bowling, curling, judo, dance, baking, cooking, singing, piano, violin, poetry, photo, film, theatre,
gardening, flower, cheese, bread, kite, snow sculpture, sand castle, pumpkin, sheep, pony, dog, pigeon, robot,
puzzle, spelling, debate, quiz, crossword, fishing, archery, climbing, surfing, ski, sledge
""")
CUPS: Final = _phrases(
    "cup,final,prize,race,contest,league,medal,title,trophy,match,tournament,award,regatta,relay,marathon,"
    "open,derby,festival prize,championship,election"
)
TIMES: Final = _phrases(
    "this week,this morning,this month,yesterday,last night,today,last weekend,this summer,this year,on "
    "Saturday,last Sunday,two days ago,this afternoon,this evening,last month"
)
FUTURE: Final = _phrases(
    "next week,tomorrow,next month,next year,next summer,in ten years,next weekend,on Sunday,next winter,in "
    "two years,next autumn,next season"
)
TASTES: Final = tuple(_phrases(group) for group in (
    "tea,coffee,cocoa,lemonade,apple juice,milk,mint tea,orange juice,hot chocolate,sparkling water",
    "summer,winter,spring,autumn", "cats,dogs,rabbits,parrots,hamsters,ponies,goldfish,turtles",
    "the sea,the mountains,the forest,the desert,the lake,the countryside,the city",
    "jazz,opera,folk music,rock,techno,chamber music,choir music,marching music",
    "novels,poems,comics,plays,short stories,diaries,letters,fairy tales",
    "pizza,pasta,rice,soup,salad,noodles,pancakes,dumplings,curry,potatoes",
    "trains,buses,trams,bicycles,cars,ferries,scooters,boats",
    "chess,checkers,cards,dominoes,dice games,crosswords,jigsaw puzzles,board games",
    "tennis,football,swimming,running,cycling,rowing,hiking,skating,dancing,climbing",
    "red,blue,green,yellow,purple,orange,white,black,brown,grey",
    "roses,tulips,lilies,daisies,orchids,sunflowers,violets,poppies,irises",
    "paper books,e-books,audio books,magazines,newspapers", "wool,cotton,linen,silk,felt,leather",
    "apples,pears,plums,cherries,grapes,bananas,oranges,peaches,figs,melons",
    "cake,ice cream,pudding,biscuits,chocolate,pie,waffles,jelly",
    "pencils,fountain pens,crayons,chalk,markers,brushes", "mornings,evenings,afternoons,nights",
    "small towns,big cities,villages,islands,suburbs",
    "the piano,the violin,the flute,the guitar,the drums,the harp,the trumpet,the cello",
    "comedies,dramas,musicals,westerns,cartoons,documentaries",
))  # fmt: skip
ROUGH: Final = _phrases("""
rain, sun, snow, wind, moon, sea, night, river, forest, garden, road, train, mountain, cloud, star, harbour,
bridge, lamp, clock, window, bell, bird, cat, dog, horse, tree, leaf, flower, rose, stone, fire, candle,
winter, summer, spring, autumn, morning, evening, village, city, tower, ship, boat, kite, drum, violin, piano,
song, dance, bread, tea, apple, honey, bee, butterfly, snail, frog, owl, fox, bear, fish, whale, island,
beach, desert, meadow, hill, valley, path, door, key, hat, shoe, coat, letter, book, map, flag, chair, table,
cup, spoon, kettle, mirror, blanket, pillow, dream, shadow, rainbow, storm, feather, button, lantern, market,
mill, barn, well, fence, orchard, pond, swan, sparrow, donkey, goat
""")  # fmt: skip
DID: Final = _pairs(
    _phrases("""
eat for breakfast|ate for breakfast, eat for lunch|ate for lunch, eat for dinner|ate for dinner,
dream about last night|dreamed about last night, buy at the market|bought at the market,
wear on Monday|wore on Monday, wear to the party|wore to the party, say on the phone|said on the phone,
read on Sunday|read on Sunday, cook yesterday|cooked yesterday, whisper at the door|whispered at the door,
write in the diary|wrote in the diary, hide under the bed|hid under the bed,
keep in the drawer|kept in the drawer, think this morning|thought this morning,
plant in the garden|planted in the garden, sing in the shower|sang in the shower,
drink after work|drank after work, draw in the notebook|drew in the notebook,
bake on Saturday|baked on Saturday, leave on the train|left on the train, lose at the beach|lost at the beach,
wish for at the fountain|wished for at the fountain, order at the cafe|ordered at the cafe,
sell at the fair|sold at the fair, paint last week|painted last week,
watch on television|watched on television, put in the suitcase|put in the suitcase,
find in the attic|found in the attic, carry in the bag|carried in the bag,
borrow from the library|borrowed from the library, name the cat|named the cat,
give to the postman|gave to the postman, see from the window|saw from the window,
tell the baker|told the baker, knit last winter|knitted last winter, build in the cellar|built in the cellar,
win at the fair|won at the fair, count at night|counted at night, spend on shoes|spent on shoes
""")
)
ASSISTANTS: Final = _words("""
Alma Bruno Cleo Dexter Echo Felix Gaia Hector Iris Juno Kepler Luna Milo Nova Orion Pixel Quill Robin Sage
Titan Umber Vega Willow Xander Yuki Zephyr Atlas Basil Coral Dune Ember Fable Grove Harbor Indigo Jade Kestrel
Linden Maple Nimbus Opal Pebble Quartz Reed Slate
""")
ALL: Final = (
    NAMES, PEOPLE, ADJECTIVES, PLACES, COUNTED, THINGS, DEVICES, MINE, WHENS, ANIMALS, ABSURD, EATEN, DISHES,
    MADE, REMEDIES, SKILLS, PLACES_OF_EVENTS, EVENTS, LEGAL, SPORTS, CUPS,
    TIMES, FUTURE, *TASTES, ROUGH, tuple(DID), ASSISTANTS,
)  # fmt: skip
