"""Verbs with their past tense and participle, each with something sensible to do it to.

A line is: base, past, participle | one to three objects (the verb can be made passive), or with
`~` words that follow a verb without an object. Objects are singular, so a passive takes "was".
"""

from typing import NamedTuple


class Verb(NamedTuple):
    """One verb; the rests follow it ("bake" + "the bread"); transitive if they are objects."""

    base: str
    past: str
    participle: str
    rests: tuple[str, ...]
    transitive: bool

    @property
    def third(self) -> str:
        """The form after he, she or a name: bakes, carries, washes."""
        if self.base in {"have", "do", "go"}:
            return {"have": "has", "do": "does", "go": "goes"}[self.base]
        if self.base.endswith(("s", "x", "z", "ch", "sh")):
            return self.base + "es"
        if self.base[-1] == "y" and self.base[-2] not in "aeiou":
            return self.base[:-1] + "ies"
        return self.base + "s"


TABLE = """
beat beat beaten | the drum / the carpet / the egg white
begin began begun | the lesson / the song / the long walk
bend bent bent | the wire / the iron bar / the branch
bind bound bound | the book / the parcel / the bundle
bite bit bitten | the apple / the ripe pear
blow blew blown | the horn / the whistle / the trumpet
break broke broken | the cup / the glass / the window
bring brought brought | the basket / the letter / the good news
build built built | the wall / the boat / the tower
burn burnt burnt | the old wood / the toast / the letter
buy bought bought | the hat / the coat / the cheap lamp
catch caught caught | the ball / the fish / the thief
choose chose chosen | the ribbon / the best seat / the blue paint
cut cut cut | the bread / the rope / the cloth
dig dug dug | the hole / the well / the trench
do did done | the homework / the hard work
draw drew drawn | the map / the bridge / the circle
drink drank drunk | the tea / the milk / the cold water
drive drove driven | the lorry / the cart / the bus
eat ate eaten | the soup / the sandwich / the last plum
feed fed fed | the cat / the horse / the baby
find found found | the key / the purse / the lost ring
fold folded folded | the napkin / the blanket / the newspaper
forget forgot forgotten | the date / the password / the umbrella
forgive forgave forgiven | the thief / the mistake
freeze froze frozen | the soup / the meat
get got got | the ticket / the prize
give gave given | the answer / the present
grind ground ground | the coffee / the corn
grow grew grown | the pumpkin / the corn
hang hung hung | the picture / the coat
have had had ~ a cold / a bad dream / a good idea
hear heard heard | the bell / the song / the strange noise
hide hid hidden | the treasure / the key / the present
hit hit hit | the nail / the target
hold held held | the rope / the ladder / the lantern
hurt hurt hurt | the knee / the thumb
keep kept kept | the secret / the receipt / the promise
know knew known | the way / the answer
lay laid laid | the table / the carpet / the first stone
lead led led | the choir / the donkey / the walk
leave left left | the house / the party
lend lent lent | the pen / the ladder / the bicycle
light lit lit | the candle / the fire / the lamp
lose lost lost | the glove / the ticket / the game
make made made | the dress / the kite / the salad
meet met met | the stranger / the guest / the new neighbour
mend mended mended | the fence / the shoe / the torn sack
pay paid paid | the bill / the fine / the rent
put put put ~ the book on the shelf / the key in the drawer
read read read | the letter / the newspaper / the poem
ride rode ridden | the bicycle / the pony / the camel
say said said | the word / the short prayer
see saw seen | the ship / the comet / the rainbow
sell sold sold | the house / the old clock / the honey
send sent sent | the parcel / the postcard / the message
set set set | the alarm clock / the trap
sew sewed sewn | the button / the curtain / the skirt
shake shook shaken | the bottle / the tree / the rug
shut shut shut | the door / the gate / the drawer
sing sang sung | the song / the hymn / the old ballad
show showed shown | the way / the ticket / the photograph
speak spoke spoken | the truth / the first line
spend spent spent | the money / the last coin
spill spilt spilt | the milk / the ink / the tea
spin spun spun | the wool / the wheel / the coin
split split split | the log / the bill
spread spread spread | the butter / the blanket / the good news
steal stole stolen | the crown / the cake / the spoon
sweep swept swept | the floor / the yard / the chimney
take took taken | the train / the photograph / the wrong bag
teach taught taught | the class / the dance
tear tore torn | the paper / the sleeve
tell told told | the story / the joke / the truth
throw threw thrown | the ball / the stone / the stick
understand understood understood | the question / the map
wear wore worn | the hat / the scarf / the red dress
weave wove woven | the basket / the cloth / the carpet
win won won | the race / the prize / the game
wind wound wound | the clock / the wool
write wrote written | the letter / the book / the long list
become became become ~ famous / very tired / a good friend
come came come ~ home / to the party / back early
creep crept crept ~ under the bed / through the dark garden
fall fell fallen ~ off the ladder / into the pond / asleep
feel felt felt ~ happy / cold / much better
fight fought fought ~ for the truth / against sleep
fly flew flown ~ over the hills / to the island
go went gone ~ to the market / to the station / for a walk
lie lay lain ~ on the sofa / in the grass
run ran run ~ across the field / to the bus stop / home
shine shone shone ~ with joy
sit sat sat ~ on the bench / by the fire / in the front row
sleep slept slept ~ in the barn / until noon / very badly
stand stood stood ~ at the window / in the rain
stick stuck stuck ~ to the plan
swim swam swum ~ across the lake / to the island
swing swung swung ~ on the gate
think thought thought ~ about the sea / of an old friend
wake woke woken ~ before sunrise / with a start
weep wept wept ~ with laughter
add added added | the salt / the sugar
answer answered answered | the letter / the telephone / the hard question
bake baked baked | the bread / the cake / the pie
boil boiled boiled | the egg / the water / the cabbage
borrow borrowed borrowed | the ladder / the book
brush brushed brushed | the coat / the pony
bury buried buried | the bone / the treasure
call called called | the doctor / the waiter / the dog
carry carried carried | the basket / the bucket / the heavy bag
chase chased chased | the cat / the thief / the goose
check checked checked | the bill / the list / the timetable
clean cleaned cleaned | the window / the floor / the oven
climb climbed climbed | the hill / the ladder / the tower
close closed closed | the shop / the box / the window
collect collected collected | the rent / the parcel / the mail
comb combed combed | the wool / the horse
cook cooked cooked | the dinner / the soup / the rice
copy copied copied | the letter / the recipe / the drawing
count counted counted | the money / the change
cover covered covered | the well / the pot / the table
cross crossed crossed | the river / the bridge / the square
decorate decorated decorated | the hall / the tree / the cake
deliver delivered delivered | the mail / the milk / the parcel
dry dried dried | the towel / the plate
empty emptied emptied | the bucket / the sack
fetch fetched fetched | the water / the doctor / the ladder
fill filled filled | the jug / the bath / the kettle
finish finished finished | the book / the puzzle / the work
guard guarded guarded | the gate / the bank / the castle
guess guessed guessed | the answer / the riddle
help helped helped | the neighbour / the old man
invite invited invited | the teacher / the whole village
iron ironed ironed | the shirt / the tablecloth
kick kicked kicked | the ball / the bucket
knit knitted knitted | the scarf / the sock / the blanket
lift lifted lifted | the box / the stone / the lid
lock locked locked | the door / the shed / the safe
measure measured measured | the table / the room / the flour
milk milked milked | the cow / the goat
mix mixed mixed | the paint / the dough
open opened opened | the door / the letter / the jar
order ordered ordered | the coffee / the new part
pack packed packed | the bag / the suitcase / the parcel
paint painted painted | the fence / the boat / the door
peel peeled peeled | the orange / the potato
pick picked picked | the apple / the flower
plant planted planted | the tree / the rose / the bean
polish polished polished | the table / the spoon / the boot
post posted posted | the letter / the card
pour poured poured | the tea / the milk / the wine
pull pulled pulled | the rope / the cart / the sledge
push pushed pushed | the cart / the button / the pram
repair repaired repaired | the roof / the clock / the radio
ring rang rung | the bell / the doctor
rob robbed robbed | the bank / the coach
save saved saved | the kitten / the money
sharpen sharpened sharpened | the knife / the pencil / the scythe
shear sheared shorn | the sheep / the ram
sign signed signed | the contract / the card
slice sliced sliced | the onion / the ham / the loaf
stir stirred stirred | the soup / the porridge / the paint
stop stopped stopped | the train / the clock / the fight
study studied studied | the map / the menu
taste tasted tasted | the sauce / the cheese
tie tied tied | the knot / the ribbon / the goat
touch touched touched | the wall / the wet paint
wash washed washed | the car / the shirt / the dog
watch watched watched | the film / the game / the sunset
water watered watered | the garden / the rose
weigh weighed weighed | the flour / the parcel / the baby
whisper whispered whispered | the secret / the password
wrap wrapped wrapped | the present / the sandwich
argue argued argued ~ about the price / with the driver
arrive arrived arrived ~ late / at noon / by train
cry cried cried ~ for joy
dance danced danced ~ at the wedding / in the kitchen
hurry hurried hurried ~ to the station / home
laugh laughed laughed ~ at the joke
live lived lived ~ by the sea for a year / in a small room
smile smiled smiled ~ at the baby
talk talked talked ~ about the weather / until midnight
travel travelled travelled ~ to the coast / by night
wait waited waited ~ for the bus / at the gate
walk walked walked ~ to school / along the river
work worked worked ~ in the garden / until dark
"""


def _read_verbs() -> dict[str, Verb]:
    verbs = {}
    for line in TABLE.strip().splitlines():
        transitive = "|" in line
        forms, rests = line.split("|" if transitive else "~")
        base, past, participle = forms.split()
        rests = tuple(rest.strip() for rest in rests.split("/"))
        verbs[base] = Verb(base, past, participle, rests, transitive)
    return verbs


VERBS = _read_verbs()
