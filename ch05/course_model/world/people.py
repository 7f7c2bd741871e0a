"""The people of the world: fixed traits, so that a name is more than a name.

Columns: name, she or he, trade, the animal he or she keeps, habit, favourite thing. Three people
live in each village, and no two people share a trade, a habit or a favourite thing.
"""

from typing import NamedTuple


class Person(NamedTuple):
    """One inhabitant; the habit follows the name ("Clara sings before breakfast")."""

    name: str
    pronoun: str
    trade: str
    village: str
    animal: str
    habit: str
    favourite: str


VILLAGERS = {
    "Ambleby": """
        Clara | she | baker | goat | sings before breakfast | plum jam
        Hugo | he | locksmith | parrot | counts every step | onion soup
        Edith | she | vet | donkey | whistles in the rain | lemon cake
        """,
    "Brackwell": """
        Otto | he | miller | cat | naps after lunch | barley bread
        Nadia | she | astronomer | owl | wakes before dawn | black coffee
        Felix | he | juggler | monkey | walks on the wall | toffee
        """,
    "Copperdean": """
        Agnes | she | weaver | sheep | hums at the loom | ginger tea
        Magnus | he | blacksmith | horse | sleeps with the window open | smoked ham
        Priya | she | translator | canary | collects old maps | mango pickle
        """,
    "Dunlow": """
        Walter | he | shepherd | dog | talks to the clouds | mutton stew
        Ida | she | printer | mouse | reads at the table | liquorice
        Karim | he | gardener | tortoise | waters the roses twice | fig jam
        """,
    "Elmsworth": """
        Harriet | she | potter | duck | loses her glasses | apple pie
        Samuel | he | roofer | pigeon | climbs every tree | cold milk
        Mina | she | organist | rabbit | taps on the table | honey
        """,
    "Fernley": """
        Arthur | he | postman | pony | stops at every gate | oat biscuits
        Lydia | she | chemist | snake | labels every jar | peppermint
        Boris | he | brewer | bear | laughs at his own jokes | pork pie
        """,
    "Gorsebank": """
        Freya | she | beekeeper | hen | dances in the kitchen | heather honey
        Edgar | he | poet | raven | writes on his sleeves | red wine
        Amina | she | dentist | crocodile | brushes her hair outdoors | pistachio ice cream
        """,
    "Hollowby": """
        Martha | she | grocer | pig | weighs everything twice | gooseberry tart
        Leo | he | drummer | kangaroo | drums on the doors | chocolate
        Greta | she | clockmaker | cuckoo | arrives too early | rye bread
        """,
    "Inchmoor": """
        Jonas | he | sailor | seagull | looks at the sky | fried herring
        Flora | she | florist | butterfly | wears a straw hat | rose jelly
        Gustav | he | judge | swan | speaks very slowly | roast beef
        """,
    "Kettlewick": """
        Olga | she | cook | goose | tastes from every pot | beetroot soup
        David | he | electrician | eel | forgets his umbrella | cheese on toast
        Hannah | she | nurse | lamb | knits on the bus | rice pudding
        """,
    "Larkfield": """
        Theo | he | farmer | bull | gets up with the cock | potato salad
        Cora | she | singer | lark | sings on the stairs | vanilla ice
        Anton | he | butcher | wolf | sharpens his pencils | sausages
        """,
    "Netherby": """
        Dinah | she | lawyer | fox | argues with the radio | almond cake
        Peter | he | mason | ox | carries stones home | bean stew
        Ingrid | she | pilot | eagle | watches the weather | dried apricots
        """,
    "Oakhurst": """
        Tobias | he | carpenter | beetle | measures his food | walnut bread
        Ella | she | teacher | squirrel | hides chalk in her pockets | pancakes
        Conrad | he | forester | deer | sleeps under the trees | mushroom pie
        """,
    "Pebblecombe": """
        Beatrix | she | boatbuilder | seal | swims in the cold | crab soup
        Milo | he | angler | pike | sits on the jetty | pickled eggs
        Elena | she | jeweller | magpie | polishes the spoons | cherry cake
        """,
    "Quenby": """
        Albert | he | librarian | moth | whispers at home | buttered toast
        Judith | she | surveyor | hare | draws on napkins | carrot cake
        Ravi | he | engineer | elephant | repairs the radio | lentil soup
        """,
    "Rookhope": """
        Mabel | she | cheesemaker | cow | smells the milk | blue cheese
        Victor | he | actor | peacock | bows to the mirror | oysters
        Bella | she | toymaker | hedgehog | plays with the buttons | marzipan
        """,
    "Stonebeck": """
        George | he | bookseller | toad | folds the newspaper | treacle
        Nora | she | plumber | otter | sings in the bath | fish pie
        Ivan | he | saddler | camel | combs his beard | goulash
        """,
    "Thornham": """
        Alice | she | painter | flamingo | wears odd socks | strawberry jam
        Jacob | he | cobbler | badger | walks barefoot | turnip stew
        Fatima | she | doctor | dove | carries an apple | date cake
        """,
    "Underhill": """
        Harold | he | banker | mole | saves every string | plain rice
        Lena | she | dancer | crane | hops over the puddles | raspberry ice
        Carl | he | firefighter | lion | runs up the stairs | chilli beans
        """,
    "Vinehall": """
        Jane | she | photographer | zebra | looks through her fingers | green grapes
        Lucas | he | barber | hamster | cuts his own hair | melon
        Ada | she | mechanic | frog | counts in her sleep | nutmeg buns
        """,
    "Wickstead": """
        Oscar | he | tailor | spider | keeps pins in his hat | custard
        Tilda | she | glassblower | bat | breathes on the window | hot cider
        Ben | he | ferryman | salmon | waves at every boat | smoked trout
        """,
    "Yewdale": """
        Daphne | she | archivist | snail | dusts the shelves | quince jelly
        Martin | he | optician | hawk | cleans his glasses | parsley soup
        Zora | she | innkeeper | turkey | greets every dog | chestnut soup
        """,
}

PEOPLE = {
    (person := Person(name, pronoun, trade, village, *traits)).name: person
    for village, table in VILLAGERS.items()
    for name, pronoun, trade, *traits in (
        [cell.strip() for cell in line.split("|")] for line in table.strip().splitlines()
    )
}
