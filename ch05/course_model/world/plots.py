"""Stories as skeletons: a beat, with "?" if it is optional, and lines with "/" that can replace it.

{A}, {B} and {C} are the people, {he} {him} {his} stand for A and {bhe} {bhim} {bhis} for B, {V} is
the village and {T} a town, {thing} and {thing2} are things, {things} many of the first; whoever
is needed is introduced before the first beat. People are named again and again on purpose: a small
model learns from that to stay with them.
"""

import re

PLOTS = """
The {thing} of {A} was gone. {A} looked under the bed and behind the stove.
/ One morning {A} could not find the {thing}.
/ "Who has taken my {thing}?" cried {A}.
{A} asked {B}, but {B} had not seen it.
/ {B} came to help, and {A} and {B} looked in every corner.
/ {A} ran across to {B}, who only shook {bhis} head.
?{A} searched the cellar, the attic and even the well.
/ {B} looked into the stove and came out black.
/ {A} offered a reward, and {B} wrote it on the door.
?A neighbour had seen a crow with something in its beak, and {A} climbed the tree for nothing.
/ {A} was sure that the {pet} had eaten it, but the {pet} looked innocent.
In the evening {B} put on {bhis} coat, and there it was in the pocket.
/ Then {A} opened the bread bin and laughed: there lay the {thing}.
/ At last {A} saw that the {pet} was sleeping on it.
{A} forgave everybody, and {B} made the tea.
/ "Next time," said {B}, "look at home first," and {A} promised.
/ {A} has tied a red ribbon to it since, so that {B} need not look again.

In {month} it rained for nine days, and the bridge near {V} was carried away.
/ The storm took the bridge at {V} in one night.
/ On {day} the water rose and {V} was cut off.
{A} could not get to work, and {B} could not get home.
/ {A} stood on one bank and {B} on the other.
/ {A} called across the water to {B}, and {B} called back.
{A} threw a rope, and {B} caught it at the third try.
/ {B} had a rope and {A} had a strong arm.
/ {A} tied a line to a stone and threw it over to {B}.
?First they sent over {athing} in a bucket, then {n} more {things}.
/ The first thing that crossed the river was a letter from {A} to {B}.
/ {B} sent back a loaf, and {A} ate it at once.
By {day2} {A} and {B} had built a narrow bridge of planks.
/ {A} sawed and {B} hammered until a man could walk across.
/ {A} laid the first plank, and {B} laid the last.
People in {V} still call it the bridge of {A} and {B}.
/ {A} crossed it first, holding the hand of {B}.
/ The new bridge of the town council came a year later, but {A} and {B} went on using theirs.

{A} had bought an old clock on the market in {T}.
/ A parcel from {T} came for {A}, and in it lay a clock.
/ {A} inherited a clock that had not gone for years.
The clock went backwards.
/ It struck thirteen, and {A} sat up in bed.
/ Whenever {A} looked at it, it was half past four.
{A} opened the back and found a folded note.
/ Behind the dial {A} found a key.
/ {A} took it to pieces on the kitchen table, and one wheel was left over.
?The {pet} jumped when it struck.
/ {A} oiled it, and it ran even worse.
/ {A} wrote to the seller in {T}, who did not answer.
The note said: whoever repairs me may keep what is under the floor.
/ On the paper stood a name that {A} knew: it was that of {his} grandmother.
/ "It is not broken," {A} understood at last. "It is only tired."
{A} hung it up all the same, and now {A} is never late, since nobody believes the clock.
/ {A} gave it to the school in {V}, where thirteen is a useful hour.
/ {A} found {n} silver coins and bought a better clock.

{A} and {B} both wanted the prize of the village fair.
/ Every year {V} gives a prize, and every year {A} and {B} try to win it.
/ A prize was offered in {V} for the best pie, and {A} and {B} both heard of it.
{A} worked at night so that {B} would not see.
/ {A} asked everybody about the plans of {B}.
/ {B} bought all the sugar in {V}, and {A} had to go to {T}.
?{A} burnt the first one and gave it to the {pet}.
/ {B} forgot the salt and had to begin again.
/ {A} tasted, and shook {his} head, and tasted again.
On the day of the fair {A} came with a basket and {B} came with a bigger one.
/ {A} and {B} stood side by side and did not look at each other.
/ {B} tripped over the {pet} of {A}, and the basket flew through the air.
The judges ate, and thought, and ate again.
/ The judges could not agree, and asked for more.
/ The judges gave the prize to neither {A} nor {B} but to a child of six.
{A} looked at {B}, and {B} began to laugh.
/ Then {A} offered {B} a slice, and {B} had to admit that it was good.
/ {A} and {B} shared what was left, and it was enough for supper.

Late one evening somebody knocked at the door of {A}.
/ {A} was already in bed when there was a knock.
/ It was snowing, and {A} was sitting by the fire when the bell rang.
It was {B}, wet to the skin.
/ {B} stood outside without a coat.
/ "It is only me," said {B}, shivering.
{A} made soup and asked no questions.
/ {A} gave {B} dry clothes, which were too large.
/ {A} put {B} in the best chair and filled a cup.
?{B} ate {n} plates without a word.
/ {B} looked at the {pet} for a long time.
/ The {pet} lay down on the feet of {B}.
"I have lost my key," said {B} at last.
/ Then {B} told the whole story: the train, the storm and the wrong road from {T}.
/ {B} had walked from {T}, because the bus had left without {bhim}.
{A} laughed until {B} laughed too.
/ {A} took a lantern and walked with {B} as far as the crossroads.
/ {B} slept on the sofa, and in the morning {A} found a note of thanks.

{A} decided to learn the violin.
/ At forty {A} wanted to make music.
/ {A} found an old trumpet in the attic.
The first notes drove the {pet} out of the house.
/ The neighbours shut their windows when {A} began.
/ {A} practised in the cellar, and the bottles trembled.
{B} could not sleep and said so.
/ {B}, next door, bought wax for {bhis} ears.
/ "What is the matter with your cat?" asked {B}, and {A} went red.
?{A} took lessons in {T} every {day}.
/ {A} bought a book with the title Music in Nine Weeks.
/ {A} played only when {B} was out.
In {month} {A} played one whole tune without a mistake.
/ After a year {B} stopped under the window and listened.
/ One evening {B} brought a drum, and they played together.
Now {V} has a small band, and {A} and {B} are proud of it.
/ {B} says that {A} plays quite well, for {atrade}.
/ "Again," said {B}, and {A} played it again.

A letter came for {A}, but the name on it was not quite right.
/ {A} found a letter between the stones of a wall.
/ The postman gave {A} a letter that was forty years old.
{A} read: meet me at noon under the old oak.
/ It said that something lay buried behind the mill.
/ In the letter somebody asked for the return of {athing}.
{A} showed it to {B}, who put on {bhis} glasses.
/ {A} could not keep it secret and told {B}.
/ {B} read it twice and gave it back to {A}.
So {A} and {B} went together, {A} with a spade and {B} with a lamp.
/ {A} wanted to go alone, but {B} came along.
/ {B} said it was nonsense, and put on {bhis} boots.
?They dug until {B} had no breath left.
/ {A} counted the steps, and {B} counted them again.
/ It began to rain, and {A} held the umbrella over {B}.
There was nothing but {athing}, rusty and bent.
/ They found a tin, and in it {n} {things}.
/ Under the oak sat an old woman, who had been waiting, she said, for forty years.
"Well," said {B}, "it was a good walk." {A} kept the letter.
/ {A} put it on the shelf, where {B} can see it.
/ {A} and {B} never told anybody in {V} what they had found.

{A} had to bring {n} {things} to {T} before dark.
/ There was an order from {T}: {n} {things}, and quickly.
/ {A} had promised to be in {T} by noon.
The cart lost a wheel behind {V}.
/ Half way the {pet} sat down and would not go on.
/ At the first crossroads {A} took the wrong turning.
{B} came along the road and stopped.
/ "Need a hand?" asked {B}, who was mending a fence.
/ {A} saw a light, and it was the house of {B}.
{B} knew a shorter way through the wood.
/ {B} lent {A} a bicycle.
/ {A} and {B} carried everything on foot.
?{A} fell into a ditch, and {B} pulled {him} out.
/ {B} sang, and {A} kept the time.
/ {A} counted the {things} twice, and one was missing.
They reached {T} when the lamps were being lit.
/ In {T} the shop was already shut, but {A} rang the bell.
/ {A} arrived a minute before the hour.
The money was shared: half for {A} and half for {B}.
/ {A} wanted to pay {B}, but {B} would not hear of it.
/ On the way home {A} and {B} ate in the best inn of {T}.

{A} saw a light on the hill for three nights.
/ Something shone in the ruins above {V}, and {A} noticed it first.
/ People said that the old tower near {V} was haunted.
{A} does not believe in ghosts.
/ {A} asked {B} to come along, just in case.
/ "I will go and look," said {A}, and nobody held {him} back.
{A} and {B} climbed the path without a lamp.
/ {B} held on to the sleeve of {A}.
/ {A} went in front, and {B} counted the steps.
?An owl flew out, and {B} sat down on the stones.
/ Something rattled, and {A} stood still.
/ {B} whispered that it was time for supper.
In the tower sat a boy with a candle, reading.
/ It was only a lantern that somebody had forgotten, and the wind had swung it.
/ They found a telescope, and beside it an old man who was counting stars.
{A} was a little disappointed, and {B} was not.
/ {A} and {B} came again the next night, with sandwiches.
/ {B} tells the story in {V}, and in it {A} is the one who was afraid.

{A} and {B} had not spoken to each other for {n} years.
/ There was a fence between the garden of {A} and the garden of {B}.
/ {A} once called {B} a fool, and {B} had not forgotten it.
It had begun with {athing}.
/ Nobody in {V} knew why, and {A} had almost forgotten it too.
/ {A} said it was about {athing}; {B} said it was about the principle.
Then {C} had an idea.
/ {C} was tired of it and made a plan.
/ "This must end," said {C}, who is a friend of both.
{C} sent {A} a cake and said it came from {B}.
/ {C} invited {A} and {B} to the same table, one at six and one at five past six.
/ {C} locked {A} and {B} into the shed and lost the key.
?At first {A} looked at the wall, and {B} looked at the floor.
/ {B} coughed, and {A} offered {bhim} a peppermint.
/ "Is that your {thing}?" asked {A}, and {B} nodded.
After an hour {A} and {B} were talking about the weather, and after two about the past.
/ {A} said sorry first, and {B} said it second.
/ {B} laughed about something, and {A} laughed as well.
{C} listened at the door and was content.
/ Now {A} and {B} share a garden, and {C} gets the first strawberries.
/ The fence has gone, and {C} has firewood for the winter.

{A} found a young bird in the grass and took it home.
/ Behind the barn {A} found a hurt animal.
/ A tiny creature sat before the door of {A} one morning.
{A} put it in a box with straw.
/ {A} warmed some milk and looked for a spoon.
/ The {pet} was jealous, and {A} had to shut the door.
{B} knew something about animals and came at once.
/ {A} asked {B} what it eats.
/ {B} said it would not live, and {A} said it would.
Every two hours {A} got up and fed it.
/ {A} slept on the floor beside the box.
/ {B} took the nights, and {A} took the days.
?On {day} it opened both eyes.
/ It bit {B} in the thumb, and {A} was pleased.
/ {A} gave it a name, though {B} had warned {him}.
In {month} {A} opened the window, and it was gone.
/ {A} and {B} carried the box up the hill and lifted the lid.
/ It went, came back, and went again.
Sometimes {A} thinks it sits on the fence and looks in.
/ {B} said nothing and put a hand on the shoulder of {A}.
/ {A} has kept the box, and {B} knows why.

It was the turn of {A} to cook for the whole of {V}.
/ There was to be a feast in {V}, and {A} had the keys of the kitchen.
/ {A} had invited {n} guests, and {n2} more were coming.
{A} needed flour, eggs and a great deal of courage.
/ {B} peeled, and {A} stirred.
/ {A} wrote a list, and the {pet} ate it.
The oven went out at the worst moment.
/ {A} took salt for sugar, and {B} noticed it too late.
/ At five {A} found that there were no {things}.
{B} ran from house to house and came back with both arms full.
/ {A} sat down on a sack, and {B} took the spoon.
/ "We shall say it is a foreign dish," said {B}.
?{C} set the tables and folded {n} napkins into swans.
/ {C} played the accordion until the food came.
/ {C} tasted it and asked what it was called.
The guests ate everything and asked for the name of it.
/ Nobody noticed anything except {C}.
/ It was eaten to the last crumb.
{A} has never told the recipe, and {B} does not remember it.
/ {A} and {B} washed up until midnight.
/ Since then {A} is asked every year, and every year {A} is ill that day.

{A} wanted to see the sea once in {his} life.
/ {A} had never been further than {T}.
/ On the wall of {A} hung a picture of the sea.
{A} saved every penny in a jar.
/ {A} sold the {thing} and the {thing2}.
/ "When will you go?" asked {B} each week, and {A} said: "Soon."
On {day} {A} packed a bag and shut the door.
/ One morning {B} put a ticket on the table of {A}.
/ {A} walked to {T} and took the train from there.
?The {pet} stayed with {B}.
/ {A} stood at the window of the train all the way.
/ In the train {A} shared {fav} with strangers.
{A} smelled it before {he} saw it.
/ Then the hills stopped, and {A} stood still.
/ {A} took off {his} shoes and went in up to the knees.
{A} wrote {B} a card: it is larger than the picture.
/ {A} brought {B} a bottle full of it.
/ {A} came home after a week and said only that it was loud.
Now {A} and {B} are saving together.
/ The picture still hangs there, but {A} has put it a little lower.
/ {B} has kept the card.

{A} told a lie, and it was quite a small one.
/ "Of course I can ride," said {A}, and that was not true.
/ {A} had said to {B} that {he} once met the king.
{B} told it to everyone in {V}.
/ By {day} everyone was talking about {A}.
/ {B} was impressed and wanted to hear more.
So {A} had to tell another one.
/ {A} added a castle, a storm and {n} {things}.
/ {A} avoided the square for a week.
?At night {A} lay awake.
/ {A} told it to the {pet}, who did not mind.
/ {B} began to write it down.
Then somebody came from {T} who really had been there.
/ On {day2} a horse stood at the door of {A}, saddled.
/ The school asked {A} to give a talk about it.
{A} went to {B} and told the truth.
/ "{B}," said {A}, "not a word of it is so."
/ {A} took a deep breath and began with the word sorry.
"I know," said {B}. "But you tell it so well."
/ {B} laughed until {bhe} had to sit down.
/ {B} made {A} promise one thing: to go on with the story on Sundays.

There was a thief in {V}.
/ Things had been disappearing in {V} since {month}.
/ First it was {athing}, then {n} {things2}, and then the washing of {A}.
{A} lost a shirt and {B} lost {athing2}.
/ {A} wrote down everything that was missing.
/ "Not me," said {B}, before {A} could ask.
{A} put flour on the floor and waited.
/ {A} and {B} took turns behind the curtain.
/ {A} hid in a barrel, and {B} sat on the lid.
?At midnight {A} heard steps.
/ {B} fell asleep, and {A} had to pinch {bhim}.
/ Something moved, but it was only the {pet}.
In the morning there were small prints in the flour.
/ Then {A} saw a shadow on the wall, and it had a tail.
/ {A} threw a blanket, and {B} held the lamp.
It was a magpie, and its nest was full of treasures.
/ The thief was a young fox with a taste for soap.
/ The thief was the {bpet} of {B}, and {B} did not know where to look.
Everyone got everything back, except {A}, whose shirt had a hole.
/ {A} and {B} brought the things round in a cart.
/ {B} gave a party for all of {V}, to make up for it.

{A} was given a box and told not to open it.
/ {B} went away for a month and left a box with {A}.
/ "Keep this for me," said {B}, and {A} put it on the shelf.
On the first day {A} did not look at it.
/ {A} dusted it every morning.
/ The box was not heavy, as {A} could not help noticing.
On the second day {A} shook it a little.
/ {A} put it in the cupboard and then took it out again.
/ The {pet} sniffed at it and sneezed.
?{A} asked {C} what might be in it, and {C} said: "Air."
/ {C} thought it was a hat, and {A} thought it was gold.
/ {C} offered a coin for one look, but {A} said no.
In the end {A} covered it with a cloth.
/ Once {A} had the lid in {his} hand and put it back.
/ {A} went for long walks, so as not to be at home.
{B} came back and opened it: it was empty.
/ When {B} returned, {A} gave it back with a sigh.
/ {B} came on {day} and looked closely at the string.
"It is for you," said {B}. "I wanted to give you a month of wondering."
/ "Thank you," said {B}. "Inside is my patience; now I know that you have some too."
/ {B} laughed and gave {A} what was inside: {athing}.

{A} is good at many things, but not at getting up.
/ Every morning {A} was late, and every morning there was a reason.
/ The clock of {A} had stopped, or so {A} said.
{B} lost patience first.
/ {B} had to wait for {A} on every {day}.
/ One could set the clock by {A}, said {B}, if one added an hour.
So {B} tied a string to the toe of {A} and hung it out of the window.
/ {B} gave {A} a cock, and the cock overslept too.
/ {B} told {A} that the work began at six, though it began at seven.
?For three days it helped.
/ {A} cut the string in {his} sleep.
/ {C} heard of it and came to watch.
Then {A} had a dream and ran out of the house in {his} nightshirt.
/ On {day2} {A} was the first, and the door was still locked.
/ One morning {A} was there before {B}, and {B} was almost angry.
It had been the church clock that was wrong.
/ {A} had simply not gone to bed.
/ It turned out to be Sunday.
{A} went home and slept until noon.
/ Now {A} and {B} both come late, and nobody has to wait.
/ {B} gave {A} {athing} as a prize.

A circus came to {V} in {month}.
/ {A} saw the poster first: a circus, for one night only.
/ On {day} {n} wagons stopped in the meadow behind {V}.
{A} had no money for a ticket.
/ {A} and {B} wanted to see the elephant.
/ {B} offered to help with the tent, and {A} offered to help {B}.
{A} carried water and {B} carried straw.
/ {A} crept under the canvas and came out beside the bear.
/ They gave {A} a red coat that was too long.
?The juggler was ill, and somebody had to take his place.
/ {B} was put on a horse, and the horse went home.
/ {A} sold {n} tickets to people who had one already.
When the music began, {A} stood in the middle of the ring.
/ {A} dropped everything, and people thought it was meant so.
/ {B} opened the wrong cage, but it was only the goat.
People clapped until {A} had to bow again.
/ The director asked {A} to come along, and {A} thought about it for a minute.
/ {B} laughed so loudly that the clown was offended.
In the morning the meadow was empty, and {A} found one red button.
/ {A} stayed in {V}, but {he} sometimes juggles with plums.
/ {A} and {B} still talk about it when the nights are long.

{A} wanted to give {B} a present.
/ It would soon be the birthday of {B}, and {A} had no idea.
/ {B} had everything, and that was the trouble for {A}.
{A} asked {C}, who said: "Take {athing}."
/ {C} advised {athing}, and {A} thought of {athing2}.
/ {A} went through all the shops in {T} with {C}.
At first {A} bought {athing}. Then {A} took it back.
/ {A} looked at {n} {things} and liked none of them.
/ The best one was too dear, and {A} turned every coin over.
?{A} tried to knit something, but it had three sleeves.
/ {C} offered to lend {him} some money.
/ {A} hid it under the bed, where the {pet} found it.
In the end {A} made {bfav} with {his} own hands.
/ Then {A} remembered what {B} likes best: {bfav}.
/ {A} wrote a poem, and {C} corrected it.
{B} opened the parcel and said nothing for a while.
/ {B} gave {A} a long look and a short hug.
/ "How did you know?" asked {B}.
{C} only smiled.
/ {A} had never been so glad, and {C} got a slice.
/ Half a year later {B} gave the same thing to {A}, and both laughed.

There was no wind, and the mill of {V} stood still.
/ It had not rained in {V} since {month}.
/ In {month} the well of {V} ran dry.
{A} carried water from the river every morning.
/ {A} looked at the sky and did not like it.
/ The flour was running out, and {A} counted the sacks.
"We could dig deeper," said {B}.
/ {B} said that {bhis} grandfather knew a spring.
/ {A} asked {B} for advice, since {B} is older.
{A} dug, and {B} pulled up the buckets.
/ {A} and {B} walked up the dry brook with a stick.
/ {B} drew a plan, and {A} did not understand it.
?On the third day {A} found {athing} in the ground.
/ {B} said it was hopeless, but {A} went on.
/ {A} struck a stone and had to begin again.
Then there was a sound that {A} knew.
/ At last the stick moved in the hand of {B}.
/ On {day} the first drops fell on the hat of {A}.
{V} had water again, and {A} slept for two days.
/ {A} drank the first cup, and {B} drank the second.
/ They put up a stone with the names of {A} and {B}.

{A} painted the house, and {he} painted it {colour}.
/ {A} had {n} pots of {colour} paint and no plan.
/ In spring {A} decided that everything must be {colour}.
{B} came by and said nothing.
/ {B} asked whether it would stay like that.
/ "It is very {colour}," said {B}.
So {A} painted the door {colour2}.
/ {A} asked {B} which colour was better, and {B} said: "{colour2}."
/ {A} mixed it with {colour2}, and it became something else.
?The {pet} rubbed itself on the wall.
/ It rained, and the colour ran down to the street.
/ {A} fell off the ladder into the bucket.
Then the neighbours began to paint as well.
/ People came from {T} to look at it.
/ {B} could not sleep for thinking of it.
Now {B} has a {colour} house too, and {A} calls it a compliment.
/ In the end {A} painted it white, as it had been.
/ {V} is called the {colour} village now, thanks to {A}.

{A} had the key to the school, and {he} lost it.
/ On {day} {A} stood before a locked door.
/ The door fell shut, and {A} was outside in {his} socks.
The children were delighted.
/ {A} tried the window, but it was too small.
/ {B} was just passing with a ladder.
{B} held the ladder, and {A} climbed.
/ {B} knew a trick with a piece of wire.
/ {A} asked {B} to breathe in.
?The ladder slipped, and {A} hung from the gutter.
/ {B} got in, but could not get out.
/ {C} came and asked what they were doing there.
{C} simply pressed the handle: the door had never been locked.
/ {C} went home and came back with a second key.
/ {C} called the firefighter, who had a day off.
{A} thanked {C} and went very red.
/ {A} hung the key round {his} neck, and there it is today.
/ {A} bought {B} and {C} a bun each.

{A} and {B} played chess every {day}.
/ For years {A} and {B} met in the inn to play cards.
/ Nobody in {V} could beat {B} at draughts, and {A} could not either.
{A} always lost.
/ {B} won, and {A} paid for the tea.
/ {A} wrote down every game and studied it at night.
One evening {A} made a move that {B} had never seen.
/ Then {A} asked {C} to teach {him}.
/ {C} stood behind {A} and coughed at the right moment.
?{B} thought for an hour.
/ {B} asked for a glass of water and then for another.
/ The {pet} jumped on the table, and {A} put the pieces back, more or less.
"I believe that you have won," said {B}.
/ {A} looked at the board and could not believe it.
/ {B} laid down the king and gave {A} {bhis} hand.
{A} felt strange on the way home.
/ {A} slept badly, for now there was nothing to hope for.
/ "Again next week," said {A}, and {B} was relieved.
The next time {B} won, and all was well.
/ Since then they play for {things}.
/ {C} says that {A} lets {B} win now, but {A} denies it.

{A} grew a pumpkin, and it did not stop growing.
/ {A} had planted one seed, no more.
/ Something was growing in the garden of {A}.
In {month} it was as big as the {pet}.
/ By {day} it had reached the gate.
/ {A} measured it every morning and told {B}.
{B} came to look and brought a chair.
/ {B} wanted to buy it, but {A} was not ready to sell.
/ "You cannot keep that," said {B}.
?{A} built a roof over it.
/ It pushed over the fence between {A} and {B}.
/ People from {T} offered {n} {things} for it.
On the day of the market {A} and {B} needed a cart and {n} men.
/ {A} tried to lift it, and then {A} and {B} tried together.
/ {A} cut a door into it, and {B} went in.
It rolled down the hill and did not stop before the church.
/ {V} ate soup for a month.
/ It won a prize, and {A} slept in it that night.
{A} kept one seed and gave one to {B}.
/ {A} has grown only radishes since then.
/ Next year {B} will try it with a cucumber.

{A} met a stranger on the road to {T}.
/ A stranger asked {A} the way to {T}.
/ An old man sat on the milestone when {A} came along.
{A} gave him half of {his} bread.
/ The stranger carried {athing} under his arm.
/ {A} walked beside him and did not ask much.
"Take this," said the stranger, and gave {A} {athing}.
/ He told {A} three things, and two of them were true.
/ "You are {atrade}," he said, though {A} had not told him.
?At the bridge {A} turned round, and he was gone.
/ {A} felt his eyes on {his} back all the way home.
/ It grew dark, and {A} whistled a little.
At home {A} put it on the table and looked at it.
/ {A} told {B} about it, and {B} went pale.
/ {B} knew the man: he had been dead for {n} years.
Next day everything that {A} touched went well.
/ {A} has gone that way every {day} since, in vain.
/ {A} and {B} asked in {T}, but nobody had seen him.
{A} keeps the thing in a drawer, and {B} has never opened it.
/ "Perhaps you dreamed it," says {B}, but {A} still has the crumbs.
/ {A} always carries two slices of bread now.

The school of {V} put on a play, and {A} had to be the king.
/ {A} was to sing in {T} before a large crowd.
/ On {day} {A} had to make a speech.
{A} learned the words while working.
/ {A} could not sleep for {n} nights.
/ {B} heard {A} say them through the wall.
{B} sat in the first row.
/ {B} was the one who had to whisper if {A} forgot something.
/ {A} looked for {B} and found {bhim} by the door.
The curtain rose, and {A} forgot everything.
/ {A} opened {his} mouth, and nothing came out.
/ {A} began well and then said the end first.
?{B} whispered, but {A} heard something else.
/ Somebody sneezed, and {A} said: "Bless you."
/ The {pet} walked across the stage and sat down.
So {A} told them about {V} instead.
/ Then {A} sang the only song that {he} knew.
/ {B} stood up and went on for {him}.
People said it was the best part.
/ Everybody stood up and clapped, and {B} the loudest.
/ {A} bowed {n} times, and {B} threw a flower.

{A} had a tooth that hurt.
/ {A} woke up with a stiff neck.
/ {A} sneezed {n} times and could not stop.
{B} said that onions help.
/ {C} swore by cold water.
/ Everyone in {V} had good advice for {A}.
{A} tried what {B} had said.
/ {A} stood on one leg, as {C} had told {him}.
/ {A} drank something green that {B} had cooked.
?It grew worse.
/ The {pet} went out of {his} way.
/ {B} said that {A} had done it wrong.
On {day} {A} put on a hat and went to {T}.
/ At night {A} could bear it no longer and woke {C}.
/ {C} looked at it and laughed.
It was a seed between two teeth.
/ It was over in a minute.
/ It came from the new pillow, which was full of pepper.
{A} thanked {C} and said nothing to {B}.
/ {B} still thinks it was the onions.
/ {A} gave the medicine to the roses, and they died.

{A} was asked to keep the books of {V} for a year.
/ They made {A} mayor of {V}, because {he} had come too late to say no.
/ {A} was elected by {n} votes.
On the first day {A} found {n} letters on the desk.
/ {A} did not know where to begin.
/ {B} brought {A} a bigger chair.
{B} wanted a new road, and {C} wanted none.
/ {B} complained about the bells and {C} about the silence.
/ {C} asked for a bench, and {B} asked for the same bench.
?{A} listened to both and fell asleep.
/ {A} wrote two letters and mixed them up.
/ {A} counted the money in the chest: it was {n} coins.
{A} tossed a coin, and it rolled into the drain.
/ {A} invited {B} and {C} to supper.
/ {A} built half a road.
{B} and {C} were both a little unhappy, so it must have been fair.
/ {B} thanked {A}, and {C} thanked {B}.
/ {C} made a speech, and {B} did not interrupt.
After a year {A} went back to work and was glad.
/ {A} has been mayor ever since.
/ Now {B} is mayor, and {A} complains.

In winter {A} and {B} were snowed in.
/ The snow lay as high as the windows, and {A} could not open the door.
/ On {day} it snowed in {V} and did not stop.
{A} had bread and {B} had cheese.
/ {A} dug a tunnel from the door to the house of {B}.
/ {A} knocked on the wall, and {B} knocked back.
They burned the old chairs, {n} of them.
/ {A} read aloud, and {B} knitted.
/ {A} told {B} everything {he} knew.
?The {pet} slept between them.
/ {B} drew a calendar on the wall.
/ On the fourth day {A} and {B} ate {fav} and sang.
Then a chimney appeared, and a voice came out of it.
/ At last {A} heard a shovel outside.
/ One morning it dripped from the roof, and {B} danced.
{A} was almost sorry.
/ {A} and {B} knew each other better now than they had wished to.
/ {B} counted the days: it had been {n}.
In spring {B} planted something at the end of the tunnel.
/ They meet every winter and talk of the snow.
/ {A} has bought {n} more chairs, to be safe.

{A} had two left hands, everybody said.
/ {A} broke {athing} on {day} and {athing2} on {day2}.
/ Whatever {A} touched fell down.
{B} asked {A} for help all the same.
/ {A} wanted to repair the roof of {B}.
/ {B} gave {A} the smallest hammer that there was.
{A} hit the nail, the wall and {his} thumb.
/ First the ladder broke and then the window.
/ {A} held the {thing} the wrong way up.
?{B} closed {bhis} eyes.
/ {A} said sorry {n} times.
/ {B} made some tea, so as not to see it.
But behind the broken wall there was a door.
/ Under the tiles {A} found {n} gold coins.
/ Out of the hole came a swarm of bees, and with it the honey.
"Break something else," said {B}.
/ {B} shared it with {A}, half and half.
/ {B} looked at {A} with new eyes.
Now people in {V} send for {A} when they are looking for something.
/ {A} keeps the hammer in a frame.
/ {A} still has two left hands, but {B} says that they are lucky ones.

Two boats lay on the shore, that of {A} and that of {B}.
/ {A} and {B} made a bet: who would be first at the island?
/ The race on the river takes place in {month}, and {A} had a new boat.
{A} had patched the sail with a shirt.
/ {B} had trained all year.
/ {A} took along the {pet} and a basket of food.
{C} fired the gun.
/ {C} waved a flag and fell into the water.
/ {C} counted to three, and {B} started at two.
{A} lost an oar.
/ {B} was in front until the bend.
/ Fog came up, and {A} could not see {B}.
?{A} heard somebody call for help.
/ {B} ran on to a sandbank.
/ {A} steered by the bells of {V}.
{A} turned round and took {B} on board.
/ {A} threw {B} a rope and lost the lead.
/ {B} waited, since it was no fun alone.
{C} wrote down that both had won.
/ They came in last, {A} and {B} in one boat, and {C} had gone home.
/ {B} bought the tea, and {A} drank it.
"Next year," said {B}. "Next year," said {A}.
/ {A} painted a new name on the boat: {B}.
/ {C} still says that it was not fair.
"""

INTROS_1 = """
{A} {habit}. That is how people in {V} know the {trade}.
There is one thing about {A}, the {trade} of {V}: {he} {habit}.
{A} is {atrade}, lives in {V} and likes {fav} best.
For {fav} {A} would do anything. {A} is the {trade} of {V}.
{A} and {apet} live in {V}, where {A} works as {atrade}.
In {V} lives {A}, {atrade}.
{A} is {atrade} in {V}.
There is {atrade} in {V} whose name is {A}.
{A}, the {trade} of {V}, keeps {apet}.
Everyone in {V} knows {A} the {trade}.
In the village of {V} there lived {atrade}, and that was {A}.
This is a story about {A}, who works as {atrade} in {V}.
The last house in {V} belongs to {A} the {trade}.
If you ask for {atrade} in {V}, they send you to {A}.
"{A}!" they call when somebody in {V} needs {atrade}.
{A} comes from {V} and is {atrade}.
{V} has only one {trade}: {A}.
"""

INTROS_2 = """
{A} {habit}, and {B} {bhabit}. {A} is {atrade} and {B} is {abtrade}.
{A} likes {fav}, and {B} likes {bfav}. One is the {trade} of {V}, the other is {abtrade}.
The {pet} of {A} and the {bpet} of {B} met first. {A} is {atrade} in {V} and {B} is {abtrade}.
{A} the {trade} {habit}. Nobody minds it, except {B} the {btrade}, who {bhabit}.
{A} is {atrade} in {V}, and {B} is {abtrade} in {BV}.
{A} and {B} are friends: {A} is {atrade} and {B} is {abtrade}.
There were once two people, {A} the {trade} and {B} the {btrade}.
{A} the {trade} and {B} the {btrade} have known each other since school.
In {V} lives {A}, {atrade}. Not far away lives {B}, {abtrade}.
{B}, {abtrade}, often visits {A}, {atrade} from {V}.
{A} of {V} is {atrade}. {A} has one good friend, and that is {B} the {btrade}.
This is the story of {A}, {atrade}, and of {B}, {abtrade}.
{A} keeps {apet}, and {B} keeps {abpet}. {A} is the {trade} of {V}, and {B} works as {abtrade}.
The {trade} {A} and the {btrade} {B} see each other every week.
Whoever knows {A} the {trade} also knows {B} the {btrade}.
"{A} and {B}?" people say. "The {trade} and the {btrade}, yes, we know them."
"""

INTROS_3 = """
{A} is {atrade}, {B} is {abtrade} and {C} is {actrade}.
{A}, {B} and {C} come from {V}: {atrade}, {abtrade} and {actrade}.
There are three of them: {A} the {trade}, {B} the {btrade} and {C} the {ctrade}.
This is about {A}, {atrade} in {V}, and about {B} and {C}.
{A}, {atrade} from {V}, has two friends: {B} is {abtrade} and {C} is {actrade}.
In {V} {A} works as {atrade}. {B} the {btrade} and {C} the {ctrade} are often there too.
{B} and {C} came to live near {A}, the {trade} of {V}.
{A} the {trade}, {B} the {btrade} and {C} the {ctrade} sit at the same table every {day}.
"""

OPENINGS = """
It was a {weather} {day} in {month}.
That year {month} was {weather}.
One {weather} morning everything began.
It happened on {aday}, late in {month}.
The story is told in {T} too, but it did not happen there.
Some things happen only once.
It was {weather}, and the year was young.
Nobody believes this, but it is true.
There had been a fair in {T} the day before.
Once, before the railway came, there was more time.
It began with {athing}.
The bells of the church had just struck {n}.
A smell of {fav} was in the air.
Old people still remember that {month}.
You may have heard it differently.
"""

SUBPLOTS = """
On the way {A} met a dog that would not go away.
/ A dog began to follow {A}.
{A} gave it a crust, and it carried the {thing} home for {him}.
/ {A} told it to go home, and it went home with {A}.

The kettle boiled over, and {A} burned a finger.
/ Just then {A} cut {his} hand on {athing}.
{A} held it under cold water and went on.
/ {A} tied a cloth round it, and the day went on.

A pedlar came by with {n} {things}.
/ {A} heard the bell of a pedlar's cart.
{A} bought one, though {he} needed none.
/ {A} asked for the price and shook {his} head.

The wind took the hat of {A} and carried it over the roofs.
/ {A} had forgotten {his} hat.
{A} found it on the church tower, where it still is.
/ A child brought it back to {A} for a penny.

In the meantime the {pet} of {A} had got into the larder.
/ Nobody was watching the {pet} of {A}.
It ate {fav} and slept.
/ {A} found it asleep on the bed, with crumbs on its nose.

It grew foggy, and {A} could not see {his} own feet.
/ A thunderstorm came up, and {A} counted the seconds.
{A} sang, so as not to be afraid.
/ Then it was over, and {A} breathed again.

{A} sat down and ate {fav}.
/ "First we eat," said {A}, and unpacked {fav}.
Nothing tastes better outdoors, thought {A}.
/ After that {A} saw things in a better light.

A telegram came for {A} from {T}.
/ {A} heard a rumour from {T}.
It said that all was well, and {A} put it away.
/ It was not true, as {A} found out later.

{A} counted the money once more: {n} coins.
/ {A} found a coin in the street.
It would have to do, thought {A}.
/ {A} gave it to the first beggar {he} met.

The {trade} in {A} could not be silent.
/ "As {atrade} I know one thing," said {A}.
"Slow work is good work," said {A}.
/ {A} took off {his} coat and rolled up {his} sleeves.

A child asked {A} for a story, and {A} told a short one.
/ {A} stopped to talk to a child with {athing}.
"Why?" asked the child, and {A} had no answer.
/ The child laughed, and {A} felt better.

There was a hole in the shoe of {A}.
/ {A} noticed that one button was missing.
{A} put some newspaper in it.
/ {A} mended it at once, in the light of the window.
"""

ENDINGS = """
As always, {A} {habit}, and all is as it was.
{A} still {habit}, and the {pet} still listens.
{A} ate {fav} and was content.
Ask the {trade} of {V}: {A} will tell you the rest.
That is the whole story of {A}.
And that was that.
If {A} has not moved, {he} is still there today.
So ended a long day for {A}.
{A} put out the lamp and slept well.
Nobody in {V} has forgotten it, least of all {A}.
{A} told it to me, and {A} does not lie, or not often.
{A} went home to the {pet} and told it everything.
The rest is soon told: {A} went back to work on {day}.
"It could have been worse," said {A}.
And what became of the {thing}? {A} has it still.
It was a good day after all, thought {A}.
{A} still laughs when somebody mentions {athing}.
After that {A} had {fav}, as it should be.
"""


def read_beats(block: str) -> tuple[tuple[bool, tuple[str, ...]], ...]:
    """Read a skeleton: for each beat, whether it is optional, and its phrasings."""
    beats = [beat.split("\n/ ") for beat in re.split(r"\n(?!/)", block.strip())]
    return tuple(
        (first.startswith("?"), (first.removeprefix("?"), *others)) for first, *others in beats
    )


def _choices(block: str) -> tuple[str, ...]:
    """Read phrasings that are free to choose from."""
    return tuple(choice for _, phrasings in read_beats(block) for choice in phrasings)


def _n_people(text: str) -> int:
    """How many people a story needs."""
    return 3 if "{C" in text else 2 if "{B" in text or "{b" in text else 1


STORIES = tuple((_n_people(block), read_beats(block)) for block in PLOTS.split("\n\n"))
ASIDES = tuple(read_beats(block) for block in SUBPLOTS.split("\n\n"))
INTRODUCTIONS = {1: _choices(INTROS_1), 2: _choices(INTROS_2), 3: _choices(INTROS_3)}
OPENING_LINES, CLOSING_LINES = _choices(OPENINGS), _choices(ENDINGS)
