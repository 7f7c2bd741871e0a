"""Words in pairs: opposites, misspellings; and the days and months in their order."""

# Adjectives with their opposites and a thing that can be both.
OPPOSITE_ADJECTIVES = """
hot cold soup, big small box, old young man, tall short woman, wide narrow road, deep shallow lake,
heavy light bag, hard soft pillow, wet dry towel, clean dirty plate, full empty jug,
fast slow train, loud quiet voice, bright dark room, rich poor town, strong weak rope,
thick thin book, sharp blunt knife, sweet sour plum, rough smooth wall, tight loose knot,
happy sad song, brave cowardly soldier, clever stupid plan, cheap expensive coat,
early late bus, easy difficult question, good bad idea, beautiful ugly vase, safe dangerous path,
right wrong answer, true false report, straight crooked stick, ripe unripe pear,
fresh stale loaf, polite rude guest, patient impatient driver, honest dishonest clerk,
lazy hard-working pupil, noisy silent street, high low shelf,
modern ancient bridge, public private garden, rare common stamp, simple complicated machine,
calm stormy sea, kind cruel king, guilty innocent prisoner, awake asleep child,
alive dead beetle, visible invisible thread, possible impossible task,
legal illegal copy, regular irregular beat, perfect imperfect circle, lucky unlucky number,
famous unknown painter, friendly unfriendly dog, generous mean uncle, proud humble prince,
tidy messy desk, raw cooked fish, temporary permanent job, tame wild horse,
useful useless tool,
tiny huge parcel, mild spicy curry, open closed shop, fertile barren field
"""

# Other words with their opposites.
OPPOSITE_WORDS = """
up down, left_side right_side, inside outside, before after, always never, above below,
everything nothing, yes no, north south, east west, day night, summer winter, friend enemy,
question reply, beginning end, top bottom, front back, victory defeat, love hate,
success failure, peace war, arrival departure, buyer seller, profit loss, birth death,
entrance exit, truth lie, heaven hell, push pull, remember forget, accept refuse, arrive depart,
appear vanish, begin finish, laugh weep, lend borrow, rise fall, attack defend, praise blame,
first last, inner outer, upper lower, northern southern, eastern western, near far,
lengthen shorten, increase decrease, float sink, freeze melt
"""

# wrong right
MISSPELLINGS = """
recieve receive, beleive believe, freind friend, tommorow tomorrow, wich which, seperate separate,
definately definitely, untill until, adress address, begining beginning, occured occurred,
neccessary necessary, acommodate accommodate, wierd weird, thier their, goverment government,
enviroment environment, libary library, febuary February, wensday Wednesday, calender calendar,
cemetary cemetery, collegue colleague, concious conscious, embarass embarrass, existance existence,
foriegn foreign, fourty forty, gaurd guard, happend happened, hieght height, imediately immediately,
independant independent, intresting interesting, knowlege knowledge, lenght length,
maintainance maintenance, misspel misspell, neighbor neighbour, nieghbour neighbour,
noticable noticeable, ocasion occasion, peice piece, posession possession, prefered preferred,
privelege privilege, probaly probably, publically publicly, realy really, recomend recommend,
resturant restaurant, rythm rhythm, sieze seize, sincerly sincerely, speach speech,
suprise surprise,
truely truly, usefull useful, vegtable vegetable, writting writing, acheive achieve,
arguement argument, basicly basically, bussiness business, choclate chocolate, comming coming,
diffrent different, dissapear disappear, dissapoint disappoint, excelent excellent,
familar familiar, garantee guarantee, gardian guardian, grammer grammar, hansome handsome,
jewelery jewellery, kichen kitchen, medecine medicine, minuit minute, mariage marriage,
ninty ninety, parralel parallel, passanger passenger, perhabs perhaps, plesant pleasant,
potatos potatoes, practicle practical, quiting quitting, shedule schedule, sissors scissors,
strenght strength, sucess success, temprature temperature, thourough thorough, twelth twelfth,
vacum vacuum, visable visible, wether_report weather_report, wonderfull wonderful, yatch yacht
"""

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip


def _entries(table: str) -> list[list[str]]:
    """Split a table into entries, and these into words; "_" stands for a blank in a word."""
    return [
        [word.replace("_", " ") for word in entry.split()]
        for entry in table.replace("\n", " ").split(",")
    ]


OPPOSITES = {}  # word -> its opposite; each pair stands once, the other way round is implied
EXAMPLES = {}  # adjective -> a thing it can be said of
for _word, _opposite, _thing in _entries(OPPOSITE_ADJECTIVES):
    OPPOSITES[_word], EXAMPLES[_word] = _opposite, _thing
OPPOSITES |= dict(_entries(OPPOSITE_WORDS))
SPELLINGS = {wrong: right for wrong, right in _entries(MISSPELLINGS) if wrong != "neighbor"}
