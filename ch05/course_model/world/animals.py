"""Animals with what can be told of them: sound, home, young, colour ("-": the world is silent)."""

from typing import NamedTuple


class Animal(NamedTuple):
    """One animal; the sound is a verb, home and young are nouns, and None stands for not told."""

    name: str
    sound: str | None
    home: str | None
    young: str | None
    colour: str | None


TABLE = """
bear | growl | den | cub | brown
bee | buzz | hive | larva | golden
bull | bellow | paddock | - | black
canary | trill | cage | - | yellow
cat | mew | basket | kitten | grey
cow | moo | cowshed | calf | brown
cock | crow | hen-house | - | red
crocodile | - | swamp | hatchling | green
crow | caw | treetop | - | black
deer | - | thicket | fawn | brown
dog | bark | kennel | puppy | -
donkey | bray | stable | foal | grey
dove | coo | dovecote | - | white
duck | quack | pond | duckling | -
eagle | screech | eyrie | eaglet | brown
elephant | trumpet | jungle | - | grey
flamingo | - | lagoon | - | pink
fox | yelp | earth | cub | red
frog | croak | pool | tadpole | green
goat | bleat | goat shed | kid | white
goose | honk | meadow | gosling | grey
grasshopper | chirp | tall grass | nymph | green
hare | - | form | leveret | brown
hedgehog | snuffle | hedge | hoglet | brown
hen | cluck | coop | chick | -
horse | neigh | stall | - | brown
hyena | laugh | rocky cave | - | -
kangaroo | - | grassland | joey | red
lamb | baa | fold | - | white
lion | roar | savannah | - | golden
lobster | - | rocky reef | - | blue
mole | - | molehill | - | black
monkey | chatter | rainforest | - | -
moth | flutter | wardrobe | caterpillar | grey
mouse | squeak | hole | pup | grey
otter | whistle | riverbank | whelp | brown
owl | hoot | hollow tree | owlet | -
oyster | - | oyster bed | spat | -
parrot | talk | aviary | - | green
peacock | scream | park | peachick | blue
pig | grunt | sty | piglet | pink
pigeon | - | loft | squab | grey
rabbit | - | burrow | bunny | -
raven | croak | cliff | - | black
robin | - | ivy | - | red
seagull | shriek | harbour | - | white
seal | - | icy bay | - | grey
shark | - | open sea | - | grey
snake | hiss | nest of leaves | snakelet | green
spider | - | web | spiderling | black
squirrel | - | drey | - | red
starfish | - | tide pool | - | orange
stork | clatter | nest on the chimney | - | white
swan | - | reed bed | cygnet | white
tiger | snarl | bamboo forest | - | orange
toad | - | damp cellar | toadlet | brown
turkey | gobble | farmyard | poult | -
wasp | hum | paper nest | - | yellow
whale | sing | deep ocean | - | -
wolf | howl | lair | - | grey
"""


def _read_animals() -> dict[str, Animal]:
    rows = [[cell.strip() for cell in line.split("|")] for line in TABLE.strip().splitlines()]
    return {row[0]: Animal(row[0], *(None if c == "-" else c for c in row[1:])) for row in rows}


ANIMALS = _read_animals()
