"""Nouns by category, with their plurals where no rule gives them, and the colours of things."""

import re

# category: its nouns; "goose:geese" spells the plural out, otherwise plural_of has the rule.
CATEGORIES = {
    "bird": """goose:geese duck hen swan owl eagle crow pigeon sparrow robin thrush raven cuckoo
        stork lark peacock parrot canary seagull turkey dove hawk crane magpie flamingo cock""",
    "insect": "bee wasp ant flea butterfly moth beetle grasshopper ladybird",
    "fish": "trout:trout salmon:salmon cod:cod herring pike:pike carp:carp shark eel tuna:tuna",
    "farm animal": "sheep:sheep cow ox:oxen goat pig horse donkey calf:calves lamb pony bull",
    "wild animal": """wolf:wolves deer:deer fox bear hare mouse:mice lion tiger elephant monkey
        badger otter squirrel hedgehog bat mole zebra giraffe camel kangaroo
        hippopotamus hyena seal""",
    "pet": "cat dog rabbit hamster",
    "crawling animal": "spider snail worm scorpion",
    "reptile": "snake lizard crocodile tortoise",
    "fruit": """apple pear plum cherry peach strawberry raspberry orange lemon grape melon banana
        apricot fig mango:mangoes""",
    "vegetable": """potato:potatoes tomato:tomatoes carrot onion cabbage leek turnip radish
        cucumber pumpkin beetroot pea""",
    "flower": "rose tulip daisy lily poppy violet daffodil sunflower snowdrop marigold",
    "tree": "oak birch beech pine willow elm ash maple poplar chestnut",
    "tool": """hammer axe:axes knife:knives spade rake chisel drill file ladder scythe brush
        spanner""",
    "musical instrument": "violin flute drum trumpet piano:pianos harp guitar cello:cellos bell",
    "piece of clothing": """scarf:scarves hat coat dress shirt glove sock boot shoe belt jacket
        skirt apron waistcoat""",
    "vehicle": "cart bus lorry wagon bicycle tram train sledge van taxi:taxis",
    "boat": "ferry canoe:canoes raft yacht barge dinghy:dinghies",
    "piece of furniture": """table chair bench cupboard shelf:shelves bed wardrobe desk stool
        bookcase sofa:sofas""",
    "piece of kitchenware": """cup plate bowl spoon fork kettle jug dish pan glass saucer teapot
        sieve jar""",
    "building": """house church barn mill tower school library castle factory cottage stable
        bakery inn lighthouse hospital""",
    "part of the body": """foot:feet tooth:teeth hand ear eye knee elbow nose shoulder thumb toe
        finger""",
    "toy": "doll kite marble puzzle balloon rattle skipping-rope",
    "person": """child:children man:men woman:women baby neighbour thief:thieves
        wife:wives grandchild:grandchildren king queen guest lady hero:heroes stranger pupil""",
    "container": "box basket bag barrel bucket sack chest crate bottle purse suitcase",
    "piece of writing": """letter diary story poem list recipe essay postcard diagnosis:diagnoses
        thesis:theses""",
    "part of a plant": "leaf:leaves root branch bud seed twig blossom",
    "weapon": "sword spear bow arrow shield cannon",
    "piece of jewellery": "ring necklace bracelet brooch crown",
    "coin": "penny:pennies shilling sovereign florin",
    "baked thing": "loaf:loaves bun cake pie biscuit pancake roll tart",
    "body of water": "lake pond sea river stream bay",
    "landform": "hill valley mountain island cliff cave",
    "shape": "circle square triangle star oval",
    "part of a house": "roof:roofs wall window door staircase chimney cellar attic hearth",
    "sea creature": "crab octopus:octopuses lobster oyster starfish:starfish whale dolphin",
    "amphibian": "frog toad newt",
}

COLOURS = {
    "lemon": "yellow", "cherry": "red", "plum": "purple", "carrot": "orange", "pea": "green",
    "coal": "black", "snow": "white", "blood": "red", "grass": "green", "gold": "yellow",
    "silver": "grey", "copper": "brown", "milk": "white", "chocolate": "brown", "ink": "blue",
    "salt": "white", "sugar": "white", "honey": "golden", "butter": "yellow", "soot": "black",
    "chalk": "white", "straw": "golden", "moss": "green", "mud": "brown", "ash": "grey",
    "lavender": "purple", "cream": "white", "smoke": "grey", "tar": "black", "rust": "orange",
    "mint": "green", "wine": "red", "brick": "red", "ivory": "white", "flour": "white",
    "sand": "golden", "pepper": "black", "parsley": "green", "cork": "brown", "lead": "grey",
    "jade": "green", "ruby": "red", "sapphire": "blue", "cornflower": "blue", "beeswax": "golden",
}  # fmt: skip


def plural_of(noun: str) -> str:
    """The regular plural: boxes, cherries, hats."""
    if re.search(r"(s|x|z|ch|sh)$", noun):
        return noun + "es"
    if re.search(r"[^aeiou]y$", noun):
        return noun[:-1] + "ies"
    return noun + "s"


def _read_nouns() -> tuple[dict[str, str], dict[str, str]]:
    plurals, category = {}, {}
    for name, nouns in CATEGORIES.items():
        for entry in nouns.split():
            noun, _, plural = entry.partition(":")
            plurals[noun] = plural or plural_of(noun)
            category[noun] = name
    return plurals, category


PLURALS, CATEGORY_OF = _read_nouns()  # noun -> its plural, noun -> its category
